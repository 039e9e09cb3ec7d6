//! The one table of settings.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Backend, Base, Models, Secret};

/// Declares the table: each row is a flag, a variable and a key of the file at once.
macro_rules! table {
    ($(#[$of:meta])* struct $Name:ident { $($(#[$meta:meta])* $field:ident: $Type:ty,)* }) => {
        $(#[$of])*
        pub(crate) struct $Name {
            $($(#[$meta])* pub(crate) $field: Option<$Type>,)*
        }

        impl $Name {
            /// What is not set here is taken from `other`.
            pub(crate) fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)* }
            }
        }
    };
}

table! {
    /// What can be set. A flag comes before its variable, and that before the file's key, which is
    /// the flag's name with underscores.
    #[derive(Clone, Debug, Default, Deserialize, clap::Args)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        /// The address to listen at. Any but a loopback address needs a token [default: 127.0.0.1]
        #[arg(long, env = "HEADROOM_HOST", value_name = "ADDRESS")]
        host: String,

        /// The port to listen at; 0 for any that is free [default: 8787]
        #[arg(long, short, env = "HEADROOM_PORT")]
        port: u16,

        /// What clients must send, as `x-headroom-token` or as `proxy-authorization: Bearer …`
        #[arg(long, env = "HEADROOM_TOKEN", hide_env_values = true)]
        token: Secret,

        /// Who answers all requests: anthropic, openai, openrouter, bedrock, vertex, gemini, anyllm,
        /// anyllm-<provider>, litellm-<provider>, or the URL of any server that speaks one of their
        /// dialects. Without it the path of a request decides
        #[arg(long, env = "HEADROOM_BACKEND", value_name = "NAME|URL")]
        backend: Backend,

        /// Where that backend's server is, if not at its usual place: LiteLLM's and any-llm's own
        /// servers (http://127.0.0.1:4000, http://127.0.0.1:8000), a gateway before OpenRouter, Vertex
        /// or Bedrock
        #[arg(long, env = "HEADROOM_BACKEND_URL", value_name = "URL")]
        backend_url: Base,

        /// Where Anthropic's requests go [default: https://api.anthropic.com]
        #[arg(long, env = "ANTHROPIC_TARGET_API_URL", value_name = "URL")]
        anthropic_target_api_url: Base,

        /// Where OpenAI's requests go [default: https://api.openai.com]
        #[arg(long, env = "OPENAI_TARGET_API_URL", value_name = "URL")]
        openai_target_api_url: Base,

        /// Where Gemini's requests go [default: https://generativelanguage.googleapis.com]
        #[arg(long, env = "GEMINI_TARGET_API_URL", value_name = "URL")]
        gemini_target_api_url: Base,

        /// The region of `--backend vertex` or `bedrock`; `global` is one of Vertex'. Without it
        /// Bedrock's is that of AWS_REGION or of the AWS profile, and Vertex' that of CLOUD_ML_REGION
        #[arg(long, env = "HEADROOM_REGION")]
        region: String,

        /// Google's project, for clients of Anthropic Messages at `--backend vertex`. Without it that of
        /// ANTHROPIC_VERTEX_PROJECT_ID
        #[arg(long, env = "HEADROOM_PROJECT")]
        project: String,

        /// What clients' models are called at `--backend bedrock` or `vertex`: NAME=ID,NAME=ID, in the
        /// file a table. A name also stands for itself with a date behind it
        #[arg(long, env = "HEADROOM_MODELS", value_name = "NAME=ID,…")]
        models: Models,

        /// A bearer token for `--backend bedrock` (also AWS_BEARER_TOKEN_BEDROCK) or `vertex`, in place
        /// of the credentials that the clouds' own tools use
        #[arg(long, env = "HEADROOM_BACKEND_TOKEN", hide_env_values = true, value_name = "SECRET")]
        backend_token: Secret,

        /// A file with certificates (PEM) that are trusted besides the usual ones, for upstreams behind
        /// an authority of one's own
        #[arg(long, env = "HEADROOM_CA", value_name = "FILE")]
        ca: PathBuf,

        /// The proxy through which https:// upstreams are reached, http://host:port, with user:password@
        /// in front of the host if it asks for them
        #[arg(long, env = "HTTPS_PROXY", hide_env_values = true, value_name = "URL")]
        https_proxy: Secret,

        /// Hosts that are reached without it: names, which stand for all below them, addresses and
        /// networks (10.0.0.0/8), with commas between; `*` is all
        #[arg(long, env = "NO_PROXY", value_name = "HOST,…")]
        no_proxy: String,

        /// Where originals outlive their request: `memory`, or `postgres://…` for replicas and
        /// restarts [default: memory]
        #[arg(long, env = "HEADROOM_STORE", value_name = "memory|URL", hide_env_values = true)]
        store: Secret,

        /// Seals what is written to the database: any text that nobody can guess
        #[arg(long, env = "HEADROOM_STORE_KEY", hide_env_values = true, value_name = "SECRET")]
        store_key: Secret,

        /// Keys the handles in markers, so that outsiders cannot compute them; the same on every
        /// replica
        #[arg(long, env = "HEADROOM_HANDLE_KEY", hide_env_values = true, value_name = "SECRET")]
        handle_key: Secret,

        /// Who may redeem what is hidden: `single` (everybody who may use this proxy) or `credential`
        /// (who sends the same API key) [default: single on a loopback address, else credential]
        #[arg(long, env = "HEADROOM_TENANT")]
        tenant: String,

        /// What may be done to requests: `on`, `exact` (nothing is left out) or `off`. A client can
        /// ask for less with the header `x-headroom-mode` [default: on]
        #[arg(long, env = "HEADROOM_MODE")]
        mode: String,

        /// The largest request body that is taken, in bytes [default: 67108864]
        #[arg(long, env = "HEADROOM_MAX_BODY_BYTES", value_name = "BYTES")]
        max_body_bytes: usize,

        /// How long connecting to an upstream may take, in seconds [default: 10]
        #[arg(long, env = "HEADROOM_CONNECT_TIMEOUT", value_name = "SECONDS")]
        connect_timeout: u32,

        /// How long answers that are under way are waited for when the proxy is told to stop, in
        /// seconds [default: 30]
        #[arg(long, env = "HEADROOM_SHUTDOWN_TIMEOUT", value_name = "SECONDS")]
        shutdown_timeout: u32,

        /// How many requests `/stats` remembers, without their content [default: 100]
        #[arg(long, env = "HEADROOM_RECENT", value_name = "COUNT")]
        recent: usize,

        /// Worker threads [default: one a core]
        #[arg(long, env = "HEADROOM_THREADS", value_name = "COUNT")]
        threads: usize,

        /// Log lines as JSON [default: false]
        #[arg(long, env = "HEADROOM_JSON", num_args = 0..=1, default_missing_value = "true")]
        json: bool,

        /// What is logged: error, warn, info, debug or trace [default: info]
        #[arg(long, env = "HEADROOM_LOG", value_name = "LEVEL")]
        log: String,
    }
}

/// Reads a file's text. The error shows no line of it: there may be secrets.
pub(super) fn parse(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{at}{}", error.message())
    })
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_with_its_line_and_without_its_value() {
        let why = parse("port = 1\ntokne = \"hush\"\n").unwrap_err();
        assert!(why.starts_with("line 2") && why.contains("tokne") && !why.contains("hush"), "{why}");
        let why = parse("token = 5").unwrap_err();
        assert!(why.contains("line 1"), "{why}");
    }

    #[test]
    fn every_key_is_a_flag_and_a_variable_and_is_explained() {
        let command = Settings::augment_args(clap::Command::new("x"));
        for argument in command.get_arguments() {
            let name = argument.get_id();
            assert!(argument.get_long().is_some() && argument.get_env().is_some(), "{name}");
            assert!(argument.get_help().is_some_and(|help| help.to_string().len() > 10), "{name}");
            assert_eq!(argument.get_long().unwrap().replace('-', "_"), name.as_str());
            let why = parse(&format!("{name} = []")).unwrap_err();
            assert!(!why.contains("unknown field"), "{name}: {why}");
        }
        assert!(command.get_arguments().count() > 15);
    }

    #[test]
    fn every_key_is_in_the_table_of_the_manual() {
        let manual = include_str!("../../docs/proxy.md");
        let command = Settings::augment_args(clap::Command::new("x"));
        let mut rows = 0;
        for argument in command.get_arguments() {
            let variable = argument.get_env().unwrap().to_string_lossy();
            let row = format!("| `{}` | `{variable}`", argument.get_id());
            let row =
                manual.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no {row}"));
            let help = argument.get_help().unwrap().to_string();
            if let Some(default) = help.rsplit_once("[default: ").map(|(_, rest)| rest.trim_end_matches(']'))
            {
                let told: String = row.split('|').nth(3).unwrap().replace('`', "");
                assert_eq!(told.trim(), default, "{row}");
            }
            rows += 1;
        }
        let table = manual.split("| key |").nth(1).unwrap();
        let all = table.lines().skip(2).take_while(|line| line.starts_with('|')).count();
        assert_eq!(all, rows, "no row is of a key that is gone");
    }

    #[test]
    fn help_shows_no_secret_of_the_environment() {
        let command = Settings::augment_args(clap::Command::new("x"));
        for secret in ["token", "store", "store_key", "handle_key", "backend_token", "https_proxy"] {
            let argument = command.get_arguments().find(|argument| argument.get_id() == secret).unwrap();
            assert!(argument.is_hide_env_values_set(), "{secret}");
        }
    }
}
