//! Registries: documents and blobs in and out, over HTTP.
//!
//! ```text
//! RegistryReference → Repository ─→ document, blob, tags      (pull)
//!                         │     └─→ mount_blob, push_blob, push_document
//!                      Session: who we are, tokens, waiting, trying again
//! ```
//!
//! Behind the feature `registry`: without it, this crate opens no connection. All traffic is
//! synchronous; several blobs are several threads.
//!
//! Sources: OCI distribution-spec 1.1; Docker "Token Authentication Specification".

mod challenge;
mod credentials;
mod pull;
mod push;
mod retry;
mod session;
mod tags;
mod token;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::error::RegistryError;
use crate::error::{Error, Result};
use crate::image::RegistryReference;
pub use credentials::Credentials;
pub use pull::{BlobDownload, RawDocument};
use session::Session;

/// How registries are talked to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// Who we are; what is kept on this machine when there are none.
    pub credentials: Option<Credentials>,
    /// Files with certificates of authorities (PEM), in place of the usual ones.
    pub authorities: Vec<PathBuf>,
    /// Whether certificates are checked.
    pub verify_tls: bool,
    /// Whether to talk without TLS. A registry on this machine needs no such wish.
    pub plain_http: bool,
    /// How long to wait before the second attempt; the next ones wait twice as long each.
    pub first_delay: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            authorities: Vec::new(),
            verify_tls: true,
            plain_http: false,
            first_delay: Duration::from_secs(1),
        }
    }
}

/// A repository of a registry.
pub struct Repository {
    session: Session,
    host: String,
    name: String,
    pull_scope: String,
    push_scope: String,
}

impl Repository {
    /// Gets ready to talk to the registry of a reference.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if credentials or certificates cannot be read.
    pub fn open(reference: &RegistryReference, options: &RegistryOptions) -> Result<Self> {
        let name = reference.repository.clone();
        Ok(Self {
            session: Session::start(&reference.host, &name, options)?,
            host: reference.host.clone(),
            pull_scope: format!("repository:{name}:pull"),
            push_scope: format!("repository:{name}:pull,push"),
            name,
        })
    }

    /// Returns the name of the repository, without the host.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn url(&self, path: &str) -> String {
        self.session.url(&format!("{}/{path}", self.name))
    }

    fn pull_scope(&self) -> &str {
        &self.pull_scope
    }

    fn push_scope(&self) -> &str {
        &self.push_scope
    }

    fn not_found(&self, what: &str) -> Error {
        let separator = if what.contains(':') { '@' } else { ':' };
        RegistryError::NotFound {
            reference: format!("{}/{}{separator}{what}", self.host, self.name),
        }
        .into()
    }
}

/// Returns whether a host, with or without a port, is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(bare, _)| bare),
    };
    bare == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]:5000",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.evil",
            "127.0.0.1.evil:80",
            "10.0.0.1",
            "[::2]:80",
            "a.b",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
