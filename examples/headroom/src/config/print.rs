//! `--print-config`: the table as a file, with what is set and what each row is for.

use std::io::{self, Write};

use clap::Args as _;

use super::Settings;

/// Writes every key with its explanation; those that are not set as comments, secrets as dots.
pub(crate) fn print(settings: &Settings, to: &mut dyn Write) -> io::Result<()> {
    let command = Settings::augment_args(clap::Command::new("headroom"));
    for argument in command.get_arguments() {
        let key = argument.get_id().as_str();
        let help = argument.get_long_help().or(argument.get_help());
        for line in wrapped(&help.map(ToString::to_string).unwrap_or_default()) {
            writeln!(to, "# {line}")?;
        }
        let variable = argument.get_env().map(|name| name.to_string_lossy()).unwrap_or_default();
        writeln!(to, "# --{}, {variable}", argument.get_long().unwrap_or(key))?;
        match value(settings, key) {
            Some(value) => writeln!(to, "{key} = {value}\n")?,
            None => writeln!(to, "# {key} =\n")?,
        }
    }
    Ok(())
}

/// A value as TOML writes it.
fn value(settings: &Settings, key: &str) -> Option<String> {
    let text = |text: &dyn ToString| toml::Value::String(text.to_string()).to_string();
    let hidden = || "\"…\"".to_owned();
    match key {
        "host" => settings.host.as_ref().map(|it| text(it)),
        "port" => settings.port.map(|it| it.to_string()),
        "token" => settings.token.as_ref().map(|_| hidden()),
        "backend" => settings.backend.as_ref().map(|it| text(it)),
        "backend_url" => settings.backend_url.as_ref().map(|it| text(it)),
        "anthropic_target_api_url" => settings.anthropic_target_api_url.as_ref().map(|it| text(it)),
        "openai_target_api_url" => settings.openai_target_api_url.as_ref().map(|it| text(it)),
        "gemini_target_api_url" => settings.gemini_target_api_url.as_ref().map(|it| text(it)),
        "region" => settings.region.as_ref().map(|it| text(it)),
        "project" => settings.project.as_ref().map(|it| text(it)),
        "models" => settings.models.as_ref().map(ToString::to_string),
        "backend_token" => settings.backend_token.as_ref().map(|_| hidden()),
        "ca" => settings.ca.as_ref().map(|it| text(&it.display())),
        "https_proxy" => settings.https_proxy.as_ref().map(|_| hidden()),
        "no_proxy" => settings.no_proxy.as_ref().map(|it| text(it)),
        "store" => settings.store.as_ref().map(|it| match it.reveal() {
            "memory" => text(&"memory"),
            _ => hidden(),
        }),
        "store_key" => settings.store_key.as_ref().map(|_| hidden()),
        "handle_key" => settings.handle_key.as_ref().map(|_| hidden()),
        "tenant" => settings.tenant.as_ref().map(|it| text(it)),
        "mode" => settings.mode.as_ref().map(|it| text(it)),
        "max_body_bytes" => settings.max_body_bytes.map(|it| it.to_string()),
        "connect_timeout" => settings.connect_timeout.map(|it| it.to_string()),
        "shutdown_timeout" => settings.shutdown_timeout.map(|it| it.to_string()),
        "recent" => settings.recent.map(|it| it.to_string()),
        "threads" => settings.threads.map(|it| it.to_string()),
        "json" => settings.json.map(|it| it.to_string()),
        "log" => settings.log.as_ref().map(|it| text(it)),
        _ => None,
    }
}

/// Lines of at most 100 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 100 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::parse;

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same_and_holds_no_secret() {
        let text = concat!(
            "host = \"::1\"\nport = 1\ntoken = \"hush\"\nbackend = \"litellm-groq\"\nregion = \"r\"\n",
            "backend_url = \"http://h/v1\"\nanthropic_target_api_url = \"http://a\"\n",
            "openai_target_api_url = \"http://o\"\ngemini_target_api_url = \"http://g\"\ntenant = \"t\"\n",
            "store = \"postgres://u:hush@h\"\nstore_key = \"hush\"\nhandle_key = \"hush\"\nmode = \"on\"\n",
            "max_body_bytes = 2\nconnect_timeout = 3\nshutdown_timeout = 4\nrecent = 5\nthreads = 6\n",
            "json = true\nlog = \"warn\"\nproject = \"p\"\nbackend_token = \"hush\"\nca = \"f\"\n",
            "https_proxy = \"http://u:hush@h\"\nno_proxy = \"n\"\nmodels = { \"a.b\" = \"c\" }\n"
        );
        let mut out = Vec::new();
        print(&parse(text).unwrap(), &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert!(!printed.contains("hush"), "{printed}");
        // Every key is printed.
        let keys = |text: &str| {
            let keys = text.lines().filter(|line| !line.starts_with('#'));
            keys.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
        };
        let (mut before, mut after) = (keys(text), keys(&printed));
        before.sort();
        after.sort();
        assert_eq!(before, after);
        parse(&printed).unwrap();
    }

    #[test]
    fn nothing_set_is_all_comments() {
        let mut out = Vec::new();
        print(&Settings::default(), &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert!(printed.lines().all(|line| line.is_empty() || line.starts_with('#')), "{printed}");
        assert!(printed.contains("# --anthropic-target-api-url, ANTHROPIC_TARGET_API_URL"));
    }
}
