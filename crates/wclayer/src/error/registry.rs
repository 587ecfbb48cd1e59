//! What can go wrong with a registry.

use std::error::Error;
use std::path::PathBuf;

use super::ErrorKind;
use crate::digest::Digest;

/// Why a registry cannot be used.
///
/// No variant holds a credential, a token or the query of a URL, which may have one in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry could not be reached, or stopped answering.
    #[error("cannot {action} `{url}`")]
    Transport {
        /// The method.
        action: &'static str,
        /// The URL, without its query.
        url: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The registry refused a request.
    #[error("`{url}` answered {status}{}", said(said_by))]
    Refused {
        /// The URL, without its query.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// The registry's own words, on one line and shortened.
        said_by: String,
    },
    /// Nothing is at a reference.
    #[error("`{reference}` is not in the registry")]
    NotFound {
        /// The image, tag or blob.
        reference: String,
    },
    /// The credentials are not accepted, or there are none.
    #[error("the registry `{host}` refuses {}", if *has_credentials { "these credentials" } else { "access without credentials" })]
    Unauthorized {
        /// The registry.
        host: String,
        /// Whether any were sent.
        has_credentials: bool,
    },
    /// The answer is not one of a registry.
    #[error("`{url}` answered with {problem}")]
    Answer {
        /// The URL, without its query.
        url: String,
        /// What is wrong with the answer.
        problem: &'static str,
    },
    /// A blob has another length than it should.
    #[error("blob {digest} has {found} bytes in the registry, not {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// What its descriptor says.
        expected: u64,
        /// What the registry sends.
        found: u64,
    },
    /// A blob or document is not what its digest says.
    #[error("the registry sent {found} for {digest}")]
    Digest {
        /// What was asked for.
        digest: Digest,
        /// What came.
        found: Digest,
    },
    /// The registry wants credentials sent in the clear, or to a place that cannot be trusted.
    #[error("the registry `{host}` asks for a token from `{realm}`, which is not encrypted")]
    Realm {
        /// The registry.
        host: String,
        /// Where it gets tokens from.
        realm: String,
    },
    /// A file with credentials or certificates cannot be used.
    #[error("`{}` {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// Why.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// A program that keeps credentials failed.
    #[error("the credential helper `{helper}` {problem}")]
    Helper {
        /// The program.
        helper: String,
        /// What is wrong.
        problem: String,
    },
    /// The registry asks to wait for longer than is waited.
    #[error("the registry `{host}` asks to wait for {seconds} s")]
    Wait {
        /// The registry.
        host: String,
        /// How long.
        seconds: u64,
    },
}

fn said(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

impl RegistryError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Size { .. } | Self::Digest { .. } => ErrorKind::InvalidLayer,
            Self::Transport { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Unauthorized { .. }
            | Self::Realm { .. }
            | Self::Helper { .. } => ErrorKind::Io,
            Self::File { .. } => ErrorKind::InvalidInput,
            Self::Wait { .. } => ErrorKind::Busy,
        }
    }
}
