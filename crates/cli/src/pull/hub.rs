//! The hub over HTTP: addresses, redirects, who gets the token, and what its answers mean.

use crate::Failure;
use std::io::Read;
use std::time::Duration;
use ureq::http::header::{AUTHORIZATION, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, Method, Request, Response, Uri};
use ureq::{Agent, Body};

/// Where models are, unless HF_ENDPOINT says otherwise.
const ENDPOINT: &str = "https://huggingface.co";
const CONNECT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);
/// A connection that gives nothing for so long has stalled: the next one goes on there.
const STALLED: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 10;
/// No answer about a repository is longer.
const MOST_TEXT: u64 = 32 << 20;

/// A hub, and the token for it.
pub(super) struct Hub {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<String>,
}

/// Scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
struct Origin(String);

impl Origin {
    fn of(address: &Uri) -> Option<Self> {
        let (scheme, authority) = (address.scheme_str()?, address.authority()?);
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(usual);
        Some(Self(format!("{scheme}://{}:{port}", authority.host().to_lowercase())))
    }
}

/// What a hub has said, after all redirects.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Headers of the redirects before it, first to last.
    pub(super) before: Vec<HeaderMap>,
    body: Body,
}

impl Answer {
    /// The first that was said under a name, by a redirect or by the answer itself.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        let all = self.before.iter().chain(std::iter::once(&self.headers));
        all.filter_map(|headers| headers.get(name)?.to_str().ok()).next()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn into_reader(self) -> impl Read {
        self.body.into_reader()
    }

    pub(super) fn text(self) -> Result<String, Failure> {
        let mut text = String::new();
        self.body.into_reader().take(MOST_TEXT).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Why there was no answer, or none that helps.
pub(super) enum Refusal {
    /// Nothing was heard: offline, a name that is not known, a broken connection. It may work the next time.
    Silence(String),
    /// It will be the same the next time.
    Final(Failure),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Silence(text) => text.into(),
            Refusal::Final(failure) => failure,
        }
    }
}

impl Hub {
    /// As HF_ENDPOINT and HF_TOKEN say.
    pub(super) fn from_environment() -> Result<Self, Failure> {
        let set = |name: &str| {
            std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let address =
            endpoint.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let Some((address, origin)) = address.and_then(|uri| Origin::of(&uri).map(|origin| (uri, origin)))
        else {
            return Err(format!(
                "HF_ENDPOINT is `{endpoint}`, which is no address\nhelp: write https://HOST"
            )
            .into());
        };
        let token = set("HF_TOKEN");
        if token.as_ref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
            return Err(
                "HF_TOKEN holds what no token holds\nhelp: copy it again from the settings of your account"
                    .into(),
            );
        }
        let is_here = matches!(address.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if token.is_some() && address.scheme_str() == Some("http") && !is_here {
            return Err(format!(
                "HF_ENDPOINT `{endpoint}` is not encrypted: the token would be sent for everyone on the way to read\nhelp: use https, or unset HF_TOKEN"
            )
            .into());
        }
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(STALLED))
            .user_agent(concat!("frostline/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), endpoint, origin, token })
    }

    /// The address of a repository for people.
    pub(super) fn page(&self, repository: &str) -> String {
        format!("{}/{repository}", self.endpoint)
    }

    /// The address of what the hub knows about a repository.
    pub(super) fn about(&self, repository: &str, revision: &str) -> String {
        format!("{}/api/models/{repository}/revision/{}", self.endpoint, encoded(revision, ""))
    }

    /// The address of a file.
    pub(super) fn file(&self, repository: &str, revision: &str, file: &str) -> String {
        format!("{}/{repository}/resolve/{}/{}", self.endpoint, encoded(revision, ""), encoded(file, "/"))
    }

    /// Asks, and follows where it is sent to, until `enough` of what was said. The token goes to the hub alone, not to a host that
    /// it sends us to.
    pub(super) fn ask(
        &self,
        method: &Method,
        address: &str,
        from: u64,
        enough: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Answer, Refusal> {
        let broken = |what: &str| {
            Refusal::Final(format!("`{address}` {what}\nhelp: try later, or another HF_ENDPOINT").into())
        };
        let mut at: Uri = address.parse().map_err(|_| broken("is no address"))?;
        let mut before = Vec::new();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.send(method, &at, from)?;
            let status = answer.status().as_u16();
            let (parts, body) = answer.into_parts();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) || enough(&parts.headers) {
                return Ok(Answer { status, headers: parts.headers, before, body });
            }
            let location = parts.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| resolved(&at, location));
            let next = next.ok_or_else(|| broken("sends us to no address"))?;
            if at.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(broken("sends us to an address that is not encrypted"));
            }
            before.push(parts.headers);
            at = next;
        }
        Err(broken("sends us around in a circle"))
    }

    fn send(&self, method: &Method, at: &Uri, from: u64) -> Result<Response<Body>, Refusal> {
        let mut request = Request::builder().method(method).uri(at);
        if let Some(token) = self.token.as_ref().filter(|_| Origin::of(at).as_ref() == Some(&self.origin)) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let request = request.body(()).map_err(|error| Refusal::Final(error.to_string().into()))?;
        self.agent.run(request).map_err(|error| {
            // the address may carry a signature: the host alone is told
            let host = at.host().unwrap_or_default();
            Refusal::Silence(format!(
                "`{host}` cannot be reached: {error}\nhelp: check the connection, and a proxy in HTTPS_PROXY; HF_ENDPOINT names another hub"
            ))
        })
    }

    /// The answer, where it is one.
    pub(super) fn accepted(&self, answer: Answer, repository: &str, what: &str) -> Result<Answer, Refusal> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let page = self.page(repository);
        let code = answer.said("x-error-code").unwrap_or_default().to_owned();
        let token = match self.token {
            Some(_) => "the token in HF_TOKEN may not read it",
            None => "HF_TOKEN is not set",
        };
        let text = match (status, code.as_str()) {
            (_, "GatedRepo") => format!(
                "`{repository}` is given to those who accept its terms\nhelp: accept them at {page}, and set HF_TOKEN; {token}"
            ),
            (_, "RevisionNotFound") => {
                format!("`{repository}` has no {what}\nhelp: its branches and tags are at {page}")
            }
            (_, "EntryNotFound") => {
                format!("`{repository}` has no {what}\nhelp: its files are listed at {page}/tree/main")
            }
            (401 | 403, _) => format!(
                "`{repository}` is not there, or is private (status {status})\nhelp: check the name at {page}; for what is private or gated set HF_TOKEN; {token}"
            ),
            (404, _) => format!("`{repository}` has no {what} (status 404)\nhelp: check the name at {page}"),
            (429, _) => {
                let wait =
                    answer.headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
                let wait = wait.map_or_else(|| "some minutes".to_owned(), |wait| format!("{wait} s"));
                format!(
                    "the hub takes no more requests just now (status 429)\nhelp: try again after {wait}; with a token in HF_TOKEN it takes more"
                )
            }
            (500.., _) => {
                return Err(Refusal::Silence(format!(
                    "the hub has an error of its own (status {status})\nhelp: try later, or another HF_ENDPOINT"
                )));
            }
            _ => format!("the hub answers {what} with status {status}\nhelp: look at {page}"),
        };
        Err(Refusal::Final(text.into()))
    }
}

/// Where a redirect leads.
fn resolved(from: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let absolute = match location {
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ => location.to_owned(),
    };
    let uri: Uri = absolute.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(uri)
}

/// Percent-encoded, but for letters, digits, `-._~` and `kept`.
fn encoded(text: &str, kept: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
        match plain {
            true => all.push(char::from(byte)),
            false => all.push_str(&format!("%{byte:02X}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_as_browsers_do() {
        let from: Uri = "https://hub.test/a/b".parse().expect("an address");
        let to = |location: &str| resolved(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("/c?d=e").as_deref(), Some("https://hub.test/c?d=e"));
        assert_eq!(to("//cdn.test/c").as_deref(), Some("https://cdn.test/c"));
        assert_eq!(to("https://cdn.test/c").as_deref(), Some("https://cdn.test/c"));
        assert_eq!(to("file:///etc/passwd"), None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let of = |text: &str| Origin::of(&text.parse().expect("an address"));
        assert!(of("https://Hub.test/a") == of("https://hub.test:443/b"));
        for other in
            ["http://hub.test/a", "https://hub.test:8443/", "https://hub.test.evil/", "https://cdn.hub.test/"]
        {
            assert!(of(other) != of("https://hub.test/a"), "{other}");
        }
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(encoded("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(encoded("a b/ü.onnx", "/"), "a%20b/%C3%BC.onnx");
    }
}
