//! Google's Vertex AI: the model in the path, the version in the body, answers as Anthropic writes them.

use bytes::Bytes;

use super::{Asked, Refused, members::quoted, read, segment};
use crate::config::{Config, Models, is_date};

/// What Vertex wants in every body of Anthropic's.
const VERSION: &str = "vertex-2023-10-16";

/// Where Anthropic's models are, for a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    project: String,
    region: String,
}

impl Place {
    /// `None` without a project.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, String> {
        let Some(project) = &config.project else { return Ok(None) };
        let sound = |text: &str| {
            let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
            !text.is_empty() && text.chars().all(letter)
        };
        if !sound(project) {
            return Err(format!("--project {project:?} is no project of Google's"));
        }
        let Some(region) = config.region.as_ref().filter(|region| sound(region)) else {
            return Err(
                "--backend vertex wants --region (HEADROOM_REGION), e.g. us-east5 or global".to_owned()
            );
        };
        Ok(Some(Self { project: project.clone(), region: region.clone() }))
    }
}

/// The path and the body of a request for Messages, or for how many tokens one has.
pub(super) fn request(
    asked: Asked,
    models: &Models,
    place: &Place,
    body: &[u8],
) -> Result<(String, Bytes), Refused> {
    let (members, name) = read(body)?;
    let model = id(models, &name);
    let mut first = Vec::new();
    if members.get("anthropic_version").is_none() {
        first.push(("anthropic_version", quoted(VERSION)));
    }
    let (model, how) = match (asked, members.get("stream")) {
        // The one path whose body names the model.
        (Asked::Count, _) => {
            first.push(("model", quoted(&model)));
            ("count-tokens".to_owned(), "rawPredict")
        }
        (_, Some("true")) => (segment(&model), "streamRawPredict"),
        _ => (segment(&model), "rawPredict"),
    };
    let Place { project, region } = place;
    let path = format!("/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:{how}");
    Ok((path, members.with(&first, &["model"])))
}

/// Vertex' name for a model: there an `@` is before the date.
fn id(models: &Models, name: &str) -> String {
    match (models.of(name), name.rsplit_once('-')) {
        (Some(id), _) => id.to_owned(),
        (None, Some((name, date))) if is_date(date) && !name.contains('@') => format!("{name}@{date}"),
        (None, _) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_goes_into_the_path_and_the_version_into_the_body() {
        let place = Place { project: "p".into(), region: "us-east5".into() };
        let models = "fast=claude-haiku-4-5@20251001".parse().unwrap();
        for (asked, model, stream, last, body) in [
            (
                Asked::Message,
                "claude-opus-4-6",
                "true",
                "claude-opus-4-6:streamRawPredict",
                r#""stream":true"#,
            ),
            (
                Asked::Message,
                "claude-x-20250101",
                "false",
                "claude-x@20250101:rawPredict",
                r#""stream":false"#,
            ),
            (Asked::Message, "fast", "false", "claude-haiku-4-5@20251001:rawPredict", r#""stream":false"#),
            (
                Asked::Count,
                "claude-x-20250101",
                "null",
                "count-tokens:rawPredict",
                r#""model":"claude-x@20250101","stream":null"#,
            ),
        ] {
            let asks = format!(r#"{{"model":"{model}","stream":{stream}}}"#);
            let (path, sent) = request(asked, &models, &place, asks.as_bytes()).unwrap();
            let wanted = format!("/v1/projects/p/locations/us-east5/publishers/anthropic/models/{last}");
            assert_eq!(path, wanted);
            assert_eq!(sent, format!(r#"{{"anthropic_version":"vertex-2023-10-16",{body}}}"#));
        }
    }
}
