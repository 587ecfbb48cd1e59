//! Tokens: what a token server gives for credentials, or for nothing.
//!
//! Source: distribution-spec, "Token Authentication Specification", "OAuth2 Token Authentication".

use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::Agent;

use super::credentials::Credentials;
use super::retry::{ATTEMPTS, delay, wait};
use crate::error::{Error, RegistryError, Result};
use crate::hub::Progress;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// How long a token lasts whose server does not say.
const DEFAULT_LIFE: u64 = 60;
/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(5);
/// Who asks, to servers that want to know.
const CLIENT: &str = "wclayer";

/// A token, until it ends.
#[derive(Clone)]
pub(super) struct Token {
    token: String,
    ends: Instant,
}

impl Token {
    /// Returns the value of `Authorization`, while the token lasts.
    pub(super) fn header(&self, now: Instant) -> Option<String> {
        (now + MARGIN < self.ends).then(|| format!("Bearer {}", self.token))
    }
}

/// What a token server is asked.
pub(super) struct Ask<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: Vec<&'a str>,
    pub(super) credentials: Option<&'a Credentials>,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Ask<'_> {
    /// Asks; `None` when the server does not let us in.
    pub(super) fn run(
        &self,
        agent: &Agent,
        first_delay: Duration,
        progress: &dyn Progress,
    ) -> Result<Option<Token>> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let asked = Instant::now();
            let answer = match self.credentials {
                Some(Credentials::Identity(token)) => self.refresh(agent, token),
                _ => self.get(agent),
            };
            let failed = match answer {
                Ok(mut answer) => match answer.status().as_u16() {
                    200..=299 => {
                        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
                        return self.read(body.read_to_vec().ok(), asked).map(Some);
                    }
                    429 | 500 | 502..=504 if attempt < ATTEMPTS => None,
                    _ => return Ok(None),
                },
                Err(error) => Some(error),
            };
            if attempt == ATTEMPTS
                && let Some(error) = failed
            {
                return Err(RegistryError::Transport {
                    action: "GET",
                    url: self.realm.to_owned(),
                    source: error.into(),
                }
                .into());
            }
            wait(delay(attempt, first_delay), progress)?;
        }
    }

    fn get(&self, agent: &Agent) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = agent.get(self.realm);
        if let Some(service) = self.service {
            request = request.query("service", service);
        }
        for scope in &self.scopes {
            request = request.query("scope", scope);
        }
        if let Some(basic) = self.credentials.and_then(Credentials::basic) {
            request = request.header("authorization", basic);
        }
        request.call()
    }

    fn refresh(
        &self,
        agent: &Agent,
        token: &str,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let scopes = self.scopes.join(" ");
        agent.post(self.realm).send_form([
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("service", self.service.unwrap_or_default()),
            ("scope", &scopes),
            ("client_id", CLIENT),
        ])
    }

    fn read(&self, answer: Option<Vec<u8>>, asked: Instant) -> Result<Token> {
        let wrong = || -> Error {
            RegistryError::Answer {
                url: self.realm.to_owned(),
                problem: "no token",
            }
            .into()
        };
        let answer = answer.ok_or_else(wrong)?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| wrong())?;
        let token = answer.token.or(answer.access_token);
        let is_plain =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(is_plain).ok_or_else(wrong)?;
        // Docker's own servers mean 60 s by anything shorter.
        let life = answer.expires_in.unwrap_or(DEFAULT_LIFE).max(DEFAULT_LIFE);
        let life = Duration::from_secs(life.min(24 * 3600));
        Ok(Token {
            token,
            ends: asked + life,
        })
    }
}
