//! `--backend`: who answers.

use std::str::FromStr;

use super::base::Base;

/// Who answers all requests, whatever their path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Anthropic,
    OpenAi,
    Gemini,
    OpenRouter,
    Bedrock,
    Vertex,
    /// any-llm's gateway; with a provider, its models are named `provider:model`.
    AnyLlm(Option<String>),
    /// LiteLLM's proxy; models are named `provider/model`.
    LiteLlm(String),
    /// Any server that speaks a dialect of ours.
    Url(Base),
}

/// What every message about a wrong name ends with.
const NAMES: &str = "one of anthropic, openai, openrouter, bedrock, vertex, gemini, anyllm, \
                     anyllm-<provider>, litellm-<provider>, or a URL";

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let provider = |name: &str| {
            let sound = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
            match !name.is_empty() && name.chars().all(sound) {
                true => Ok(name.to_owned()),
                false => Err(format!("{text:?} names no provider: {NAMES}")),
            }
        };
        Ok(match text {
            "anthropic" => Self::Anthropic,
            "openai" => Self::OpenAi,
            "gemini" => Self::Gemini,
            "openrouter" => Self::OpenRouter,
            "bedrock" => Self::Bedrock,
            "vertex" => Self::Vertex,
            "anyllm" => Self::AnyLlm(None),
            _ if text.contains("://") => Self::Url(text.parse()?),
            _ => match (text.strip_prefix("litellm-"), text.strip_prefix("anyllm-")) {
                (Some(name), _) => Self::LiteLlm(provider(name)?),
                (_, Some(name)) => Self::AnyLlm(Some(provider(name)?)),
                _ => return Err(format!("no backend {text:?}: {NAMES}")),
            },
        })
    }
}

impl<'de> serde::Deserialize<'de> for Backend {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::OpenRouter => "openrouter",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
            Self::AnyLlm(None) => "anyllm",
            Self::AnyLlm(Some(provider)) => return write!(f, "anyllm-{provider}"),
            Self::LiteLlm(provider) => return write!(f, "litellm-{provider}"),
            Self::Url(base) => return write!(f, "{base}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written() {
        for name in [
            "anthropic",
            "openai",
            "gemini",
            "openrouter",
            "bedrock",
            "vertex",
            "anyllm",
            "anyllm-mistral",
            "litellm-vertex_ai",
            "https://a.example/v1",
        ] {
            assert_eq!(name.parse::<Backend>().unwrap().to_string(), name);
        }
        for bad in ["", "Anthropic", "litellm", "litellm-", "anyllm-a/b"] {
            let why = bad.parse::<Backend>().unwrap_err();
            assert!(why.contains("one of anthropic"), "{bad}: {why}");
        }
        for (bad, word) in [("ftp://x", "https://"), ("https://u:p@h", "credentials"), ("http://", "URL")] {
            let why = bad.parse::<Backend>().unwrap_err();
            assert!(why.contains(word) && !why.contains("one of"), "{bad}: {why}");
        }
    }
}
