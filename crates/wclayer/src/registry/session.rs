//! [`Session`]: requests to one registry, with who we are, and again when they fail.
//!
//! ```text
//! request → 401 → token → request     429, 5xx, cut connection → wait → request
//! ```
//!
//! Every body is in memory and small, so that every request can be made again. What is sent to the
//! registry is not sent to where it redirects to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

use super::challenge::Challenge;
use super::credentials::{self, Credentials};
use super::retry::{ATTEMPTS, MOST_ASKED, asked, delay, wait};
use super::token::{self, Token};
use super::{RegistryOptions, is_loopback};
use crate::error::{Error, RegistryError, Result};
use crate::hub::Progress;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a registry may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a request may be redirected.
const REDIRECTS: u32 = 5;
/// How much of an error's text is read, in bytes.
const MAX_ERROR: u64 = 64 << 10;

/// A registry.
pub(super) struct Session {
    agent: Agent,
    /// As references spell it.
    host: String,
    /// `https://` and the host.
    base: String,
    credentials: Option<Credentials>,
    /// What the requests of one scope carry.
    keys: Mutex<HashMap<String, Key>>,
    first_delay: Duration,
}

/// What a request carries.
#[derive(Clone)]
enum Key {
    Basic(String),
    Token(Token),
}

impl Key {
    fn header(&self) -> Option<String> {
        match self {
            Self::Basic(header) => Some(header.clone()),
            Self::Token(token) => token.header(Instant::now()),
        }
    }
}

/// A request that can be made again.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<&'a [u8]>,
    /// What it needs to be allowed: `repository:a/b:pull`.
    pub(super) scope: &'a str,
}

/// An answer, whose body is not read yet.
pub(super) struct Reply {
    /// Without its query.
    pub(super) url: String,
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Body,
}

impl Reply {
    /// Returns a header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the error of an answer that is none of those expected.
    pub(super) fn refused(self) -> Error {
        let text = self.body.into_with_config().limit(MAX_ERROR).read_to_vec();
        RegistryError::Refused {
            url: self.url,
            status: self.status,
            said_by: words(&text.unwrap_or_default()),
        }
        .into()
    }
}

impl Session {
    /// Starts a session; nothing is sent yet, but for what finds out whether a registry on this
    /// machine speaks TLS.
    pub(super) fn start(host: &str, repository: &str, options: &RegistryOptions) -> Result<Self> {
        let credentials = match &options.credentials {
            Some(given) => Some(given.clone()),
            None => credentials::find(host, repository)?,
        };
        let agent = agent(host, options)?;
        // Docker's registry has two names.
        let server = match host {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let base = match options.plain_http || speaks_plainly(&agent, server) {
            true => format!("http://{server}"),
            false => format!("https://{server}"),
        };
        Ok(Self {
            agent,
            host: host.to_owned(),
            base,
            credentials,
            keys: Mutex::default(),
            first_delay: options.first_delay,
        })
    }

    /// Returns a URL of the registry.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/v2/{path}", self.base)
    }

    /// Returns the URL that a `Location` means.
    pub(super) fn located(&self, location: &str) -> String {
        match location.starts_with('/') {
            true => format!("{}{location}", self.base),
            false => location.to_owned(),
        }
    }

    /// Makes a request, again if need be.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no answer, or the registry does not let us in. Any other answer
    /// is returned.
    pub(super) fn send(&self, request: &Request<'_>, progress: &dyn Progress) -> Result<Reply> {
        let mut attempt = 0;
        let mut asked_in = false;
        loop {
            attempt += 1;
            if progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let (key, reply) = self.try_once(request);
            let pause = match reply {
                Ok(reply) if reply.status == 401 && !asked_in => {
                    // A token may end in the middle of an upload.
                    asked_in = true;
                    attempt -= 1;
                    self.ask_in(request.scope, key, &reply, progress)?;
                    continue;
                }
                Ok(reply) if reply.status == 401 => return Err(self.unauthorized()),
                Ok(reply) if is_temporary(reply.status) && attempt < ATTEMPTS => {
                    asked(reply.header("retry-after"))
                }
                Ok(reply) => return Ok(reply),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => None,
            };
            let pause = match pause {
                Some(asked) if asked > MOST_ASKED => {
                    let (host, seconds) = (self.host.clone(), asked.as_secs());
                    return Err(RegistryError::Wait { host, seconds }.into());
                }
                Some(asked) => asked.max(delay(1, self.first_delay)),
                None => delay(attempt, self.first_delay),
            };
            asked_in = false;
            wait(pause, progress)?;
        }
    }

    /// Makes a request once, or twice where a token is needed: for what must not be done again
    /// before the registry has been asked.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(super) fn send_once(
        &self,
        request: &Request<'_>,
        progress: &dyn Progress,
    ) -> Result<Reply> {
        if progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (key, reply) = self.try_once(request);
        let reply = reply?;
        if reply.status != 401 {
            return Ok(reply);
        }
        self.ask_in(request.scope, key, &reply, progress)?;
        self.try_once(request).1
    }

    /// Makes a request once; returns the key that it carried as well.
    fn try_once(&self, request: &Request<'_>) -> (Option<String>, Result<Reply>) {
        let is_ours = is_below(&request.url, &self.base);
        let key = match is_ours {
            true => self.keys().get(request.scope).and_then(Key::header),
            // Uploads may go somewhere else; our key does not.
            false => None,
        };
        let shown = without_query(&request.url).to_owned();
        let mut builder = ureq::http::Request::builder()
            .method(request.method)
            .uri(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(key) = &key {
            builder = builder.header("authorization", key);
        }
        let answer = match request.body {
            Some(body) => builder
                .header("content-length", body.len())
                .body(SendBody::from_owned_reader(std::io::Cursor::new(
                    body.to_vec(),
                )))
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            None => builder
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
        };
        let answer = answer.map(|answer| reply(shown.clone(), answer));
        let failed = |error: ureq::Error| {
            RegistryError::Transport {
                action: request.method,
                url: shown,
                source: error.into(),
            }
            .into()
        };
        (key, answer.map_err(failed))
    }

    /// Gets what the registry asks for.
    fn ask_in(
        &self,
        scope: &str,
        used: Option<String>,
        reply: &Reply,
        progress: &dyn Progress,
    ) -> Result<()> {
        // Another thread may have done it already.
        let newer = self.keys().get(scope).and_then(Key::header);
        if newer.is_some() && newer != used {
            return Ok(());
        }
        let challenge = reply.header("www-authenticate").and_then(Challenge::parse);
        let key = match challenge {
            Some(Challenge::Basic) => {
                let basic = self.credentials.as_ref().and_then(Credentials::basic);
                // The same again will not help.
                let basic = basic.filter(|basic| used.as_ref() != Some(basic));
                Key::Basic(basic.ok_or_else(|| self.unauthorized())?)
            }
            Some(Challenge::Bearer {
                realm,
                service,
                scope: wanted,
            }) => {
                self.check_realm(&realm)?;
                let ask = token::Ask {
                    realm: &realm,
                    service: service.as_deref(),
                    // What we need, rather than what this one request needs.
                    scopes: match scope {
                        "" => wanted.as_deref().into_iter().collect(),
                        scope => scope.split(' ').collect(),
                    },
                    credentials: self.credentials.as_ref(),
                };
                let token = ask.run(&self.agent, self.first_delay, progress)?;
                Key::Token(token.ok_or_else(|| self.unauthorized())?)
            }
            None => return Err(self.unauthorized()),
        };
        self.keys().insert(scope.to_owned(), key);
        Ok(())
    }

    /// Checks that a token server may see our credentials.
    fn check_realm(&self, realm: &str) -> Result<(), RegistryError> {
        let is_plain_here = self.base.starts_with("http://");
        let rest = realm.strip_prefix("http://");
        match rest.map(host_of) {
            None if realm.starts_with("https://") => Ok(()),
            // As safe as the registry itself.
            Some(host) if is_plain_here && (is_loopback(host) || host == self.host) => Ok(()),
            _ => Err(RegistryError::Realm {
                host: self.host.clone(),
                realm: without_query(realm).to_owned(),
            }),
        }
    }

    fn unauthorized(&self) -> Error {
        RegistryError::Unauthorized {
            host: self.host.clone(),
            has_credentials: self.credentials.is_some(),
        }
        .into()
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply(url: String, answer: Response<Body>) -> Reply {
    let (parts, body) = answer.into_parts();
    Reply {
        url,
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

fn agent(host: &str, options: &RegistryOptions) -> Result<Agent, RegistryError> {
    let mut tls = TlsConfig::builder().disable_verification(!options.verify_tls);
    let mut certificates = Vec::new();
    for path in &options.authorities {
        let fail = |problem, source| RegistryError::File {
            path: path.clone(),
            problem,
            source,
        };
        let text = std::fs::read(path);
        let text = text.map_err(|error| fail("cannot be read", Some(error.into())))?;
        let found = ureq::tls::parse_pem(&text).filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate.to_owned()),
            _ => None,
        });
        let before = certificates.len();
        certificates.extend::<Vec<Certificate<'static>>>(found.collect());
        if certificates.len() == before {
            return Err(fail("has no certificate (PEM)", None));
        }
    }
    if !certificates.is_empty() {
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let proxy = match is_loopback(host) {
        true => None,
        // `HTTPS_PROXY`, `NO_PROXY` and their kind.
        false => ureq::Proxy::try_from_env(),
    };
    let config = Agent::config_builder()
        .proxy(proxy)
        .http_status_as_error(false)
        .tls_config(tls.build())
        .max_redirects(REDIRECTS)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .accept_encoding("identity")
        .user_agent(concat!("wclayer/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.new_agent())
}

/// Finds out whether a registry on this machine speaks without TLS, as the usual ones do. Of any
/// other, TLS is demanded.
fn speaks_plainly(agent: &Agent, server: &str) -> bool {
    let answers = |scheme: &str| agent.get(format!("{scheme}://{server}/v2/")).call().is_ok();
    is_loopback(server) && !answers("https") && answers("http")
}

/// Returns whether a URL is below another, of the same scheme, host and port.
fn is_below(url: &str, base: &str) -> bool {
    let rest = url.strip_prefix(base);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the host and port in a URL without its scheme.
fn host_of(rest: &str) -> &str {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // What is before an `@` is no host.
    rest[..end].rsplit('@').next().unwrap_or_default()
}

/// Returns a URL as it may be shown: what is behind `?` can be a secret.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504)
}

/// Returns what a registry says about a failure, on one line.
fn words(text: &[u8]) -> String {
    const MOST: usize = 300;
    #[derive(serde::Deserialize)]
    struct Answer {
        errors: Vec<Problem>,
    }
    #[derive(serde::Deserialize)]
    struct Problem {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(text) else {
        return String::new();
    };
    let words = answer.errors.iter().map(|problem| match &*problem.message {
        "" => problem.code.clone(),
        message => format!("{} ({message})", problem.code),
    });
    let words: Vec<String> = words.take(3).collect();
    let is_plain = |c: &char| !c.is_control();
    words
        .join("; ")
        .chars()
        .filter(is_plain)
        .take(MOST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_with_its_registry() {
        let base = "https://a.b:5000";
        assert!(is_below("https://a.b:5000/v2/x", base));
        for other in [
            "https://a.b:50001/v2/",
            "https://a.b:5000.c/v2/",
            "http://a.b:5000/v2/",
            "https://c/",
        ] {
            assert!(!is_below(other, base), "{other}");
        }
        assert_eq!(host_of("127.0.0.1@evil/x"), "evil");
        assert_eq!(without_query("https://a/b?token=c#d"), "https://a/b");
    }

    #[test]
    fn the_words_of_a_registry_are_short_and_plain() {
        let text = br#"{"errors": [{"code": "DENIED", "message": "no\u001b[2J"}, {"code": "X"}]}"#;
        assert_eq!(words(text), "DENIED (no[2J); X");
        assert_eq!(words(b"<html>"), "");
        let long = format!(r#"{{"errors": [{{"code": "{}"}}]}}"#, "x".repeat(9999));
        assert_eq!(words(long.as_bytes()).len(), 300);
    }
}
