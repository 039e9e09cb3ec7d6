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

#[cfg(test)]
mod tests {
    use super::*;

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
