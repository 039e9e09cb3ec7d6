//! Where Google's credentials are, and how a token is got for them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::{Token, assertion::Key, now};
use crate::{
    config::{Base, variable},
    proxy::{client::HttpClient, cloud::segment, forward::cause},
};

/// How long an exchange may take; the metadata server is near.
const PATIENCE: Duration = Duration::from_secs(30);
const NEAR: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER: usize = 1 << 16;
/// No token is believed to hold for longer.
const LONGEST: u64 = 24 * 60 * 60;

/// Where tokens come from when the file does not say.
const TOKENS: &str = "https://oauth2.googleapis.com/token";
const METADATA: &str = "metadata.google.internal";
const OF_MACHINE: &str = "computeMetadata/v1/instance/service-accounts/default/token";

/// Who vouches for us, in the order of Google's own libraries.
#[derive(Debug)]
pub(super) enum Source {
    /// Read again for every token: whoever signs in anew is believed without a restart.
    File(PathBuf),
    /// The machine that this runs on.
    Metadata(String),
}

/// What is read of a file of credentials.
#[derive(Deserialize)]
struct File {
    r#type: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    token_uri: Option<String>,
}

/// What a server gives.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Source {
    /// # Errors
    /// If the metadata server's name is none.
    pub(super) fn find() -> Result<Self, String> {
        if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
            return Ok(Self::File(path.into()));
        }
        if let Some(path) = usual().filter(|path| path.is_file()) {
            return Ok(Self::File(path));
        }
        let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| METADATA.to_owned());
        match format!("http://{host}").parse::<Base>() {
            Ok(base) if base.is_bare() => Ok(Self::Metadata(base.to_string())),
            _ => Err(format!("GCE_METADATA_HOST: {host:?} is no host")),
        }
    }

    /// Gets a token. It is asked for once.
    ///
    /// # Errors
    /// They tell nothing of the credentials, and of what a server says only the name of an error.
    pub(super) async fn ask(&self, client: &HttpClient<Full<Bytes>>) -> Result<Token, String> {
        match self {
            Self::File(path) => {
                let failed = |why| format!("{}: {why}", path.display());
                let (server, form) = read(path).and_then(|file| file.form()).map_err(failed)?;
                let mut request = Request::post(uri(&server)?).body(Full::new(form)).map_err(|_| NO_URI)?;
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(header::CONTENT_TYPE, form);
                exchange(client, request, &server, PATIENCE).await
            }
            Self::Metadata(server) => {
                let mut request = Request::get(uri(&format!("{server}/{OF_MACHINE}"))?)
                    .body(Full::default())
                    .map_err(|_| NO_URI)?;
                request.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
                let failed = |why| format!("there is no file of them, and no machine of Google's: {why}");
                exchange(client, request, server, NEAR).await.map_err(failed)
            }
        }
    }
}

const NO_URI: &str = "its token_uri is no URL";

fn uri(text: &str) -> Result<Uri, &'static str> {
    text.parse().map_err(|_| NO_URI)
}

/// Where `gcloud auth application-default login` puts them.
fn usual() -> Option<PathBuf> {
    let folder = match variable("CLOUDSDK_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None if cfg!(windows) => Path::new(&variable("APPDATA")?).join("gcloud"),
        None => std::env::home_dir()?.join(".config").join("gcloud"),
    };
    Some(folder.join("application_default_credentials.json"))
}

fn read(path: &Path) -> Result<File, String> {
    let text = fs::read(path).map_err(|why| why.to_string())?;
    // serde's own words could repeat a value.
    serde_json::from_slice(&text).map_err(|why| format!("no JSON of credentials, at line {}", why.line()))
}

impl File {
    /// Whom to ask, and what to send.
    fn form(&self) -> Result<(String, Bytes), String> {
        let server = self.token_uri.as_deref().unwrap_or(TOKENS);
        let base: Base = server.parse().map_err(|why| format!("its token_uri: {why}"))?;
        if base.is_exposed() {
            return Err("its token_uri is not reached over TLS: credentials would travel in the open".into());
        }
        let form = match self.r#type.as_deref() {
            Some("service_account") => {
                let key = Key {
                    email: member("client_email", &self.client_email)?,
                    private: member("private_key", &self.private_key)?,
                    id: self.private_key_id.as_deref(),
                };
                let assertion = key.assertion(server, now())?;
                let grant = segment("urn:ietf:params:oauth:grant-type:jwt-bearer");
                format!("grant_type={grant}&assertion={assertion}")
            }
            Some("authorized_user") => {
                let id = segment(member("client_id", &self.client_id)?);
                let secret = segment(member("client_secret", &self.client_secret)?);
                let token = segment(member("refresh_token", &self.refresh_token)?);
                format!(
                    "grant_type=refresh_token&client_id={id}&client_secret={secret}&refresh_token={token}"
                )
            }
            Some(other) => {
                return Err(format!(
                    "credentials of the kind {other:?} are not read here, those of a service_account and of an \
                     authorized_user are"
                ));
            }
            None => return Err("it has no \"type\"".to_owned()),
        };
        Ok((server.to_owned(), form.into()))
    }
}

fn member<'a>(name: &str, value: &'a Option<String>) -> Result<&'a str, String> {
    value.as_deref().ok_or_else(|| format!("it has no {name:?}"))
}

async fn exchange(
    client: &HttpClient<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    server: &str,
    patience: Duration,
) -> Result<Token, String> {
    let answer = async {
        let answered = client.request(request).await;
        let answered = answered.map_err(|why| format!("{server} gives no answer: {}", cause(&why)))?;
        given(answered).await.map_err(|why| format!("{server} {why}"))
    };
    let late = |_| Err(format!("{server} gives no answer in {} s", patience.as_secs()));
    tokio::time::timeout(patience, answer).await.unwrap_or_else(late)
}

/// The token of an answer. What else servers say may repeat what they were sent.
async fn given(answer: Response<Incoming>) -> Result<Token, String> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER).collect().await;
    let body = body.map_err(|_| "breaks off its answer".to_owned())?.to_bytes();
    if !status.is_success() {
        return Err(refusal(status.as_u16(), &body));
    }
    let given: Given =
        serde_json::from_slice(&body).map_err(|_| "answers with what is no token".to_owned())?;
    let holds = Duration::from_secs(given.expires_in.min(LONGEST));
    Ok(Token { text: given.access_token, end: now() + holds })
}

/// The name of an error (RFC 6749, 5.2), and what to do.
fn refusal(status: u16, body: &[u8]) -> String {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = said["error"].as_str().filter(|name| {
        name.len() <= 40 && name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_')
    });
    let hint = match name {
        Some("invalid_grant") => {
            ": the key or the sign-in was taken back or has ended, or this machine's clock is wrong"
        }
        Some("invalid_client" | "deleted_client" | "disabled_client") => ": it does not know this client",
        Some("invalid_rapt") => ": it wants another sign-in",
        _ => "",
    };
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    format!("refuses ({status}{name}){hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_name_alone() {
        let secret = "AIza-0815";
        for (body, wanted) in [
            (r#"{"error":"invalid_scope","error_description":"AIza-0815"}"#, "refuses (400 invalid_scope)"),
            (r#"{"error":"AIza-0815"}"#, "refuses (400)"),
            (r#"{"error":{"message":"AIza-0815"}}"#, "refuses (400)"),
            ("AIza-0815", "refuses (400)"),
            ("", "refuses (400)"),
        ] {
            let told = refusal(400, body.as_bytes());
            assert_eq!(told, wanted);
            assert!(!told.contains(secret));
        }
        assert!(refusal(400, br#"{"error":"invalid_grant"}"#).contains("clock"));
    }

    #[test]
    fn files_that_are_none_say_what_is_missing_and_repeat_nothing() {
        for (text, word) in [
            (r#"{"type":"service_account","client_email":"a"}"#, "private_key"),
            (
                r#"{"type":"service_account","client_email":"a","private_key":"hush"}"#,
                "private_key is no RSA key",
            ),
            (r#"{"type":"authorized_user","client_id":"a","client_secret":"hush"}"#, "refresh_token"),
            (r#"{"type":"external_account","client_secret":"hush"}"#, "\"external_account\" are not read"),
            (r#"{"client_secret":"hush"}"#, "\"type\""),
            (r#"{"type":"authorized_user","token_uri":"http://a.example/token"}"#, "TLS"),
            (r#"{"type":"authorized_user","token_uri":"hush"}"#, "token_uri"),
        ] {
            let why = serde_json::from_str::<File>(text).unwrap().form().unwrap_err();
            assert!(why.contains(word) && !why.contains("hush"), "{text}: {why}");
        }
    }

    #[test]
    fn what_is_sent_is_escaped() {
        let file =
            r#"{"type":"authorized_user","client_id":"a&b","client_secret":"c=d","refresh_token":"1//e+f"}"#;
        let (server, form) = serde_json::from_str::<File>(file).unwrap().form().unwrap();
        assert_eq!(server, TOKENS);
        let wanted =
            "grant_type=refresh_token&client_id=a%26b&client_secret=c%3Dd&refresh_token=1%2F%2Fe%2Bf";
        assert_eq!(form, wanted);
    }
}
