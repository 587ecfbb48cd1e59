//! [`ImageReference`]: how a user names an image.
//!
//! ```text
//! oci:FOLDER[:NAME]            an OCI image layout
//! oci-archive:FILE[:NAME]      a tar of one
//! docker-archive:FILE[:NAME]   what `docker save` writes
//! docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]
//! ```
//!
//! `NAME` is the value of `org.opencontainers.image.ref.name`, a repository tag, or `@N` for the
//! image at place N, counted from 0.
//!
//! Sources: containers-transports(5); distribution-spec, "Pulling manifests" (the grammar of
//! repositories and tags); `github.com/distribution/reference` (which part is the host).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::digest::Digest;

/// The registry of names without a host.
const DEFAULT_HOST: &str = "docker.io";
/// The longest repository, in bytes.
const MAX_REPOSITORY: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;

/// An image, by a way to get at it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageReference {
    /// A folder with an OCI image layout.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// Which of its images; the only one when there is no name.
        name: Option<ImageName>,
    },
    /// A tar of an OCI image layout.
    OciArchive {
        /// The tar.
        file: PathBuf,
        /// Which of its images.
        name: Option<ImageName>,
    },
    /// An archive with a `manifest.json`, as `docker save` writes it.
    DockerArchive {
        /// The tar.
        file: PathBuf,
        /// Which of its images.
        name: Option<ImageName>,
    },
    /// A repository of a registry.
    Registry(RegistryReference),
}

/// Which image of a layout or an archive is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageName {
    /// The one with this name.
    Name(String),
    /// The one at this place, counted from 0.
    Place(usize),
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryReference {
    /// The host, with its port where one is given.
    pub host: String,
    /// The repository.
    pub repository: String,
    /// The tag; `latest` when there is neither a tag nor a digest.
    pub tag: Option<String>,
    /// The digest of the manifest or index.
    pub digest: Option<Digest>,
}

/// Why a text does not name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// No path follows the transport.
    #[error("`{0}` names no file or folder")]
    NoPath(String),
    /// A place that is not a number.
    #[error("`@{0}` is not the place of an image: a number from 0 on")]
    Place(String),
    /// A host that cannot be one.
    #[error("`{0}` is not a host with an optional port")]
    Host(String),
    /// A repository that registries refuse.
    #[error(
        "`{0}` is not a repository: lower-case letters, digits and `.`, `_`, `-` between them, \
         255 characters at most"
    )]
    Repository(String),
    /// A tag that registries refuse.
    #[error("`{0}` is not a tag: letters, digits, `_`, `.` and `-`, 128 characters at most")]
    Tag(String),
    /// A digest that cannot be one.
    #[error(transparent)]
    Digest(#[from] crate::digest::DigestError),
}

impl ImageReference {
    /// Parses a text with one of the four transports in front; `None` for one without, which is a
    /// path.
    ///
    /// # Errors
    ///
    /// Returns a [`ReferenceError`] if what follows the transport is malformed.
    pub fn parse(text: &str) -> Option<Result<Self, ReferenceError>> {
        if let Some(rest) = text.strip_prefix("docker://") {
            return Some(rest.parse().map(Self::Registry));
        }
        let (transport, rest) = text.split_once(':')?;
        let make: fn(PathBuf, Option<ImageName>) -> Self = match transport {
            "oci" => |folder, name| Self::Layout { folder, name },
            "oci-archive" => |file, name| Self::OciArchive { file, name },
            "docker-archive" => |file, name| Self::DockerArchive { file, name },
            _ => return None,
        };
        let (path, name) = split_path(rest, cfg!(windows));
        if path.is_empty() {
            return Some(Err(ReferenceError::NoPath(text.to_owned())));
        }
        let name = name.map(ImageName::from_str).transpose();
        Some(name.map(|name| make(PathBuf::from(path), name)))
    }
}

/// Splits at the first colon; the one after a drive's letter is part of the path on Windows.
fn split_path(text: &str, has_drives: bool) -> (&str, Option<&str>) {
    let drive = match text.as_bytes() {
        [letter, b':', b'\\' | b'/', ..] if has_drives && letter.is_ascii_alphabetic() => 2,
        _ => 0,
    };
    match text[drive..].split_once(':') {
        Some((path, name)) => (&text[..drive + path.len()], Some(name)),
        None => (text, None),
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let Some(place) = text.strip_prefix('@') else {
            return Ok(Self::Name(text.to_owned()));
        };
        let number = place.parse().ok();
        let number = number.filter(|_| place.bytes().all(|digit| digit.is_ascii_digit()));
        number
            .map(Self::Place)
            .ok_or_else(|| ReferenceError::Place(place.to_owned()))
    }
}

impl FromStr for RegistryReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].split_once(':') {
            Some((own, tag)) => (&name[..last + own.len()], Some(tag)),
            None => (name, None),
        };
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if is_host(host) => (host, rest.to_owned()),
            Some(_) => (DEFAULT_HOST, name.to_owned()),
            None => (DEFAULT_HOST, format!("library/{name}")),
        };
        if !is_host_with_port(host) {
            return Err(ReferenceError::Host(host.to_owned()));
        }
        if !is_repository(&repository) {
            return Err(ReferenceError::Repository(repository));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(tag.to_owned()));
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some("latest".to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self {
            host: host.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// Returns whether the first part of a name is a host rather than the start of a repository.
fn is_host(part: &str) -> bool {
    part == "localhost"
        || part.contains(['.', ':'])
        || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host_with_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        // An IPv6 address.
        Some((address, rest)) => match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) => (
                "",
                rest.strip_prefix(':').or((!rest.is_empty()).then_some("")),
            ),
            Err(_) => return false,
        },
        None => match text.rsplit_once(':') {
            Some((host, port)) if is_host_name(host) => ("", Some(port)),
            None if is_host_name(text) => ("", None),
            _ => return false,
        },
    };
    host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_repository(text: &str) -> bool {
    let is_separator = |run: &str| {
        matches!(run, "." | "_" | "__") || (!run.is_empty() && run.bytes().all(|byte| byte == b'-'))
    };
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_component = |component: &str| {
        let ends_in_words = component.bytes().next().is_some_and(is_word)
            && component.bytes().next_back().is_some_and(is_word);
        let mut runs = component.split(|c: char| c.is_ascii() && is_word(c as u8));
        ends_in_words && runs.all(|run| run.is_empty() || is_separator(run))
    };
    text.len() <= MAX_REPOSITORY && text.split('/').all(is_component)
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_inner = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'-');
    text.len() <= MAX_TAG && text.bytes().next().is_some_and(is_word) && text.bytes().all(is_inner)
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, name) = match self {
            Self::Registry(reference) => return write!(f, "docker://{reference}"),
            Self::Layout { folder, name } => ("oci", folder, name),
            Self::OciArchive { file, name } => ("oci-archive", file, name),
            Self::DockerArchive { file, name } => ("docker-archive", file, name),
        };
        write!(f, "{transport}:{}", path.display())?;
        name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Place(place) => write!(f, "@{place}"),
        }
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ImageReference {
        let parsed = ImageReference::parse(text).expect("has a transport");
        parsed.expect(text)
    }

    fn registry(text: &str) -> Result<RegistryReference, ReferenceError> {
        text.parse()
    }

    #[test]
    fn transports_are_told_from_paths() {
        for path in [
            "layers/app",
            "app.tar",
            "C:\\layers\\app",
            "a:b",
            "ocidir",
            "",
        ] {
            assert_eq!(ImageReference::parse(path), None, "{path}");
        }
        let layout = |name| ImageReference::Layout {
            folder: "images/app".into(),
            name,
        };
        assert_eq!(parse("oci:images/app"), layout(None));
        let name = ImageName::Name("app:1.0".into());
        assert_eq!(parse("oci:images/app:app:1.0"), layout(Some(name)));
        assert_eq!(
            parse("oci:images/app:@2"),
            layout(Some(ImageName::Place(2)))
        );
        for text in ["oci:x", "oci-archive:x.tar:v1", "docker-archive:x.tar:@0"] {
            assert_eq!(parse(text).to_string(), text);
        }
        for bad in [
            "oci:",
            "oci::x",
            "oci:x:@",
            "oci:x:@-1",
            "oci:x:@+1",
            "docker://",
        ] {
            let parsed = ImageReference::parse(bad).expect("has a transport");
            assert!(parsed.is_err(), "{bad}");
        }
    }

    #[test]
    fn a_drive_is_part_of_the_path_on_windows_only() {
        assert_eq!(split_path("C:\\x:v1", true), ("C:\\x", Some("v1")));
        assert_eq!(split_path("C:\\x", true), ("C:\\x", None));
        assert_eq!(split_path("C:/x", false), ("C", Some("/x")));
        assert_eq!(split_path("c:v1", true), ("c", Some("v1")));
    }

    #[test]
    fn names_in_registries_are_completed_as_docker_does() {
        let full = |text: &str| registry(text).expect(text).to_string();
        assert_eq!(full("app"), "docker.io/library/app:latest");
        assert_eq!(full("user/app:v1"), "docker.io/user/app:v1");
        assert_eq!(full("localhost/app"), "localhost/app:latest");
        assert_eq!(full("localhost:5000/a/b"), "localhost:5000/a/b:latest");
        assert_eq!(full("[::1]:5000/a"), "[::1]:5000/a:latest");
        assert_eq!(full("Upper/app"), "Upper/app:latest");
        let digest = Digest::of(b"x");
        assert_eq!(full(&format!("a.b/c@{digest}")), format!("a.b/c@{digest}"));
        let both = format!("a.b/c:v1@{digest}");
        assert_eq!(full(&both), both);
    }

    #[test]
    fn what_registries_refuse_is_refused() {
        let long = format!("a.b/{}", "c".repeat(256));
        for bad in [
            "",
            "/",
            "a.b/",
            "a.b//c",
            "a.b/C",
            "a.b/c-",
            "a.b/-c",
            "a.b/c..d",
            "a.b/c___d",
            "a.b/../c",
            "a.b/c:",
            "a.b/c:-x",
            "a.b/c:x/y",
            "a.b:0/c",
            "a.b:70000/c",
            "a.b:x/c",
            "-a.b/c",
            "a..b/c",
            "[::g]/c",
            "[::1]5/c",
            "u@a.b/c",
            "a.b/c@sha256:00",
            "a.b/c d",
            "a.b/ä",
            &long,
        ] {
            assert!(registry(bad).is_err(), "{bad}");
        }
        for good in ["a.b/c__d", "a.b/c--d", "a.b/c.d_e-f/9", "a.b/c:_X.-1"] {
            assert!(registry(good).is_ok(), "{good}");
        }
    }
}
