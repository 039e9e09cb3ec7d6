//! Who gets a request: one table made at start, so that nothing else can ever be asked.

use http::{HeaderMap, Uri, uri::PathAndQuery};

use super::wire::Wire;
use crate::config::{Backend, Base, Config};

/// One server that requests go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    base: Base,
    /// What models are called there.
    pub(crate) prefix: Option<String>,
    /// The setting that says where it is.
    setting: &'static str,
}

impl Upstream {
    fn new(base: Base, setting: &'static str) -> Self {
        Self { base, prefix: None, setting }
    }

    /// Where a request for `path` goes.
    pub(crate) fn uri(&self, path: &PathAndQuery) -> Option<Uri> {
        // Clients of OpenAI that were given a base URL without its version.
        const BARE: [&str; 5] = ["/chat/completions", "/responses", "/completions", "/embeddings", "/models"];
        if self.base.is_bare() && BARE.contains(&path.path()) {
            return self.base.join(&format!("/v1{path}").parse().ok()?);
        }
        self.base.join(path)
    }

    /// What people are told about it: no path, no query.
    pub(crate) fn name(&self) -> String {
        self.base.to_string()
    }

    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }

    pub(crate) fn is_exposed(&self) -> bool {
        self.base.is_exposed()
    }
}

const ANTHROPIC: &str = "--anthropic-target-api-url (ANTHROPIC_TARGET_API_URL)";
const OPENAI: &str = "--openai-target-api-url (OPENAI_TARGET_API_URL)";
const GEMINI: &str = "--gemini-target-api-url (GEMINI_TARGET_API_URL)";

/// What is set and says nothing, because another setting says who answers everything.
pub(super) fn unused(config: &Config) -> Vec<&'static str> {
    let each = [
        (&config.anthropic, Backend::Anthropic, ANTHROPIC),
        (&config.openai, Backend::OpenAi, OPENAI),
        (&config.gemini, Backend::Gemini, GEMINI),
    ];
    let other = |backend: &Backend| config.backend.as_ref().is_some_and(|chosen| chosen != backend);
    each.into_iter().filter(|(base, of, _)| base.is_some() && other(of)).map(|(_, _, name)| name).collect()
}

/// All servers that requests may go to.
#[derive(Clone, Debug)]
pub(crate) enum Upstreams {
    /// The path of a request decides.
    ByPath(Box<Providers>),
    /// One for all.
    One(Upstream),
}

/// One server for each wire.
#[derive(Clone, Debug)]
pub(crate) struct Providers {
    anthropic: Upstream,
    openai: Upstream,
    gemini: Upstream,
}

impl Upstreams {
    /// Decides where requests go.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        const URL: &str = "--backend-url (HEADROOM_BACKEND_URL)";
        let at = |given: &Option<Base>, usual: &str, setting| -> Result<Upstream, String> {
            let base = given.clone().map_or_else(|| usual.parse(), Ok)?;
            Ok(Upstream::new(base, setting))
        };
        let anthropic = || at(&config.anthropic, "https://api.anthropic.com", ANTHROPIC);
        let openai = || at(&config.openai, "https://api.openai.com", OPENAI);
        let gemini = || at(&config.gemini, "https://generativelanguage.googleapis.com", GEMINI);
        let gateway = |usual: &str| at(&config.backend_url, usual, URL);

        let named = matches!(
            config.backend,
            None | Some(Backend::Anthropic | Backend::OpenAi | Backend::Gemini | Backend::Url(_))
        );
        if named && config.backend_url.is_some() {
            return Err("--backend-url is for litellm-<provider>, anyllm, openrouter, vertex and bedrock: \
                        other backends are named by --backend URL or by their *_TARGET_API_URL"
                .to_owned());
        }
        let one = match &config.backend {
            None => {
                let all = Providers { anthropic: anthropic()?, openai: openai()?, gemini: gemini()? };
                return Ok(Self::ByPath(Box::new(all)));
            }
            Some(Backend::Anthropic) => anthropic()?,
            Some(Backend::OpenAi) => openai()?,
            Some(Backend::Gemini) => gemini()?,
            Some(Backend::OpenRouter) => gateway("https://openrouter.ai/api")?,
            Some(Backend::LiteLlm(provider)) => {
                Upstream { prefix: Some(format!("{provider}/")), ..gateway("http://127.0.0.1:4000")? }
            }
            Some(Backend::AnyLlm(provider)) => {
                let prefix = provider.as_ref().map(|provider| format!("{provider}:"));
                Upstream { prefix, ..gateway("http://127.0.0.1:8000")? }
            }
            Some(Backend::Url(base)) => Upstream::new(base.clone(), "--backend (HEADROOM_BACKEND)"),
            Some(Backend::Vertex) => vertex(config, URL)?,
            Some(Backend::Bedrock) => bedrock(config, URL)?,
        };
        Ok(Self::One(one))
    }

    /// Who gets a request.
    pub(crate) fn of(&self, path: &str, headers: &HeaderMap) -> &Upstream {
        match self {
            Self::One(one) => one,
            Self::ByPath(all) => match Wire::of(path, headers) {
                Wire::Anthropic => &all.anthropic,
                Wire::OpenAi => &all.openai,
                Wire::Gemini => &all.gemini,
            },
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<&Upstream> {
        match self {
            Self::One(one) => vec![one],
            Self::ByPath(all) => vec![&all.anthropic, &all.openai, &all.gemini],
        }
    }
}

/// The region that was given, if it is one: it becomes a part of a host's name.
fn region(config: &Config) -> Result<Option<&str>, String> {
    let sound = |region: &str| {
        !region.is_empty() && region.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
    };
    match config.region.as_deref() {
        Some(region) if !sound(region) => Err(format!("--region {region:?} is no region")),
        region => Ok(region),
    }
}

/// Bedrock of a region.
fn bedrock(config: &Config, setting: &'static str) -> Result<Upstream, String> {
    let region = region(config)?;
    if region.is_none() && (config.backend_url.is_none() || config.backend_token.is_none()) {
        return Err(
            "--backend bedrock wants --region (HEADROOM_REGION, AWS_REGION), e.g. us-east-1".to_owned()
        );
    }
    if let Some(base) = &config.backend_url {
        return Ok(Upstream::new(base.clone(), setting));
    }
    let region = region.unwrap_or_default();
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let base = format!("https://bedrock-runtime.{region}.{domain}");
    Ok(Upstream::new(base.parse()?, "--region (HEADROOM_REGION)"))
}

/// Vertex of a region; clients of its own paths name project and location there.
fn vertex(config: &Config, setting: &'static str) -> Result<Upstream, String> {
    let region = region(config)?;
    if let Some(base) = &config.backend_url {
        return Ok(Upstream::new(base.clone(), setting));
    }
    let Some(region) = region else {
        return Err("--backend vertex wants --region (HEADROOM_REGION), e.g. us-east5 or global".to_owned());
    };
    let base = match region {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "eu" | "us" => format!("https://aiplatform.{region}.rep.googleapis.com"),
        _ => format!("https://{region}-aiplatform.googleapis.com"),
    };
    Ok(Upstream::new(base.parse()?, "--region (HEADROOM_REGION)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn upstreams(edit: impl FnOnce(&mut Settings)) -> Result<Upstreams, String> {
        let mut settings = Settings::default();
        edit(&mut settings);
        Upstreams::new(&Config::new(settings).unwrap())
    }

    fn goes(upstreams: &Upstreams, path: &'static str) -> String {
        let path = PathAndQuery::from_static(path);
        upstreams.of(path.path(), &HeaderMap::new()).uri(&path).unwrap().to_string()
    }

    #[test]
    fn the_path_decides_unless_one_answers_all() {
        let all =
            upstreams(|it| it.openai_target_api_url = Some("http://o.example/v1".parse().unwrap())).unwrap();
        assert_eq!(goes(&all, "/v1/messages?beta=true"), "https://api.anthropic.com/v1/messages?beta=true");
        assert_eq!(goes(&all, "/v1/chat/completions"), "http://o.example/v1/chat/completions");
        assert_eq!(
            goes(&all, "/v1beta/models/m:generateContent"),
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"
        );
        let one = upstreams(|it| it.backend = Some(Backend::OpenRouter)).unwrap();
        assert_eq!(goes(&one, "/v1/messages"), "https://openrouter.ai/api/v1/messages");
        let plain = upstreams(|_| ()).unwrap();
        assert_eq!(goes(&plain, "/chat/completions"), "https://api.openai.com/v1/chat/completions");
    }

    #[test]
    fn what_says_nothing_is_told() {
        let settings = Settings {
            anthropic_target_api_url: Some("http://a".parse().unwrap()),
            openai_target_api_url: Some("http://o".parse().unwrap()),
            ..Settings::default()
        };
        let told = |backend: Option<Backend>| {
            unused(&Config::new(Settings { backend, ..settings.clone() }).unwrap())
        };
        assert!(told(None).is_empty());
        assert_eq!(told(Some(Backend::OpenAi)), [ANTHROPIC]);
        assert_eq!(told(Some(Backend::OpenRouter)), [ANTHROPIC, OPENAI]);
    }

    #[test]
    fn gateways_are_their_own_servers_and_name_models() {
        let lite = upstreams(|it| it.backend = Some("litellm-groq".parse().unwrap())).unwrap();
        let server = lite.of("/v1/messages", &HeaderMap::new());
        assert_eq!(
            (server.name().as_str(), server.prefix.as_deref()),
            ("http://127.0.0.1:4000", Some("groq/"))
        );
        let any = upstreams(|it| {
            it.backend = Some("anyllm-mistral".parse().unwrap());
            it.backend_url = Some("https://g.example".parse().unwrap());
        });
        let any = any.unwrap();
        let server = any.of("/v1/chat/completions", &HeaderMap::new());
        assert_eq!(
            (server.name().as_str(), server.prefix.as_deref()),
            ("https://g.example", Some("mistral:"))
        );
        let any = upstreams(|it| it.backend = Some("anyllm".parse().unwrap())).unwrap();
        assert_eq!(any.of("/", &HeaderMap::new()).prefix, None);
    }

    #[test]
    fn what_is_misconfigured_is_an_error_and_never_another_host() {
        let why = upstreams(|it| it.backend = Some(Backend::Vertex)).unwrap_err();
        assert!(why.contains("--region"), "{why}");
        for region in ["", "evil.example/", "a@b"] {
            for backend in [Backend::Vertex, Backend::Bedrock] {
                let wrong = upstreams(|it| (it.backend, it.region) = (Some(backend), Some(region.into())));
                assert!(wrong.is_err(), "{region}");
            }
        }
        let twice = upstreams(|it| {
            it.backend = Some(Backend::OpenAi);
            it.backend_url = Some("http://h".parse().unwrap());
        });
        assert!(twice.unwrap_err().contains("--backend-url"));
        let vertex =
            upstreams(|it| (it.backend, it.region) = (Some(Backend::Vertex), Some("us-east5".into())));
        assert_eq!(vertex.unwrap().all()[0].name(), "https://us-east5-aiplatform.googleapis.com");
        let why = upstreams(|it| it.backend = Some(Backend::Bedrock)).unwrap_err();
        assert!(why.contains("--region"), "{why}");
        for (region, host) in [
            ("eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
            ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ] {
            let bedrock =
                upstreams(|it| (it.backend, it.region) = (Some(Backend::Bedrock), Some(region.into())));
            assert_eq!(bedrock.unwrap().all()[0].name(), host);
        }
        let signed = upstreams(|it| {
            it.backend = Some(Backend::Bedrock);
            it.backend_url = Some("http://h".parse().unwrap());
        });
        assert!(signed.is_err(), "a signature is for a region");
    }
}
