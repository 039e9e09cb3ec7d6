//! Variables that the clouds' own tools read, and other spellings of ours.

use super::{Backend, Settings};

/// What stands in for settings that neither flags nor variables of ours nor the file have made.
pub(super) fn fill(settings: Settings) -> Settings {
    fill_from(settings, &variable)
}

/// A variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "a binary, which says in its manual what it reads")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn fill_from(mut settings: Settings, variable: &dyn Fn(&str) -> Option<String>) -> Settings {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
    let secret = |names: &[&str]| first(names).and_then(|text| text.parse().ok());
    settings.https_proxy = settings.https_proxy.or_else(|| secret(&["https_proxy"]));
    settings.no_proxy = settings.no_proxy.or_else(|| first(&["no_proxy"]));
    match settings.backend {
        Some(Backend::Bedrock) => {
            settings.region = settings.region.or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
            settings.backend_token = settings.backend_token.or_else(|| secret(&["AWS_BEARER_TOKEN_BEDROCK"]));
        }
        Some(Backend::Vertex) => {
            settings.region = settings.region.or_else(|| first(&["CLOUD_ML_REGION"]));
            settings.project = settings.project.or_else(|| first(&["ANTHROPIC_VERTEX_PROJECT_ID"]));
        }
        _ => {}
    }
    settings
}

/// Variables that are called like ours and are none: spelt wrong, most likely.
pub(crate) fn unknown(known: &clap::Command) -> Vec<String> {
    unknown_of(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()), known)
}

fn unknown_of(names: impl Iterator<Item = String>, known: &clap::Command) -> Vec<String> {
    let commands = || std::iter::once(known).chain(known.get_subcommands());
    let ours = |name: &str| {
        let mut arguments = commands().flat_map(clap::Command::get_arguments);
        arguments.any(|argument| argument.get_env().is_some_and(|variable| variable == name))
    };
    // Kubernetes tells of a service called `headroom` this way.
    let service = |name: &str| name.starts_with("HEADROOM_SERVICE_") || name.starts_with("HEADROOM_PORT_");
    let mut unknown: Vec<String> =
        names.filter(|name| name.starts_with("HEADROOM_") && !ours(name) && !service(name)).collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_is_spelt_wrong_is_found() {
        let names = ["HEADROOM_TOKN", "HEADROOM_TOKEN", "HEADROOM_MCP_TOKEN", "HEADROOM_CONFIG", "PATH"];
        let names = names.into_iter().chain(["HEADROOM_SERVICE_HOST", "HEADROOM_PORT_8787_TCP_ADDR"]);
        assert_eq!(unknown_of(names.map(str::to_owned), &crate::Cli::command()), ["HEADROOM_TOKN"]);
    }

    #[test]
    fn variables_of_others_come_last_and_only_where_they_belong() {
        let variable = |name: &str| (!name.starts_with("HEADROOM")).then(|| format!("of {name}"));
        let filled = |backend: Option<Backend>, region: Option<&str>| {
            let region = region.map(str::to_owned);
            fill_from(Settings { backend, region, ..Settings::default() }, &variable)
        };
        let bedrock = filled(Some(Backend::Bedrock), None);
        assert_eq!(bedrock.region.as_deref(), Some("of AWS_REGION"));
        assert_eq!(bedrock.backend_token.unwrap().reveal(), "of AWS_BEARER_TOKEN_BEDROCK");
        assert_eq!(bedrock.https_proxy.unwrap().reveal(), "of https_proxy");
        assert_eq!(filled(Some(Backend::Bedrock), Some("mine")).region.as_deref(), Some("mine"));
        let vertex = filled(Some(Backend::Vertex), None);
        assert_eq!(vertex.region.as_deref(), Some("of CLOUD_ML_REGION"));
        assert_eq!(vertex.project.as_deref(), Some("of ANTHROPIC_VERTEX_PROJECT_ID"));
        assert!(vertex.backend_token.is_none());
        let none = filled(None, None);
        assert!(none.region.is_none() && none.project.is_none() && none.backend_token.is_none());
    }
}
