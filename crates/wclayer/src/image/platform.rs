//! [`Platform`]: for which machines an image is, and which image of an index fits one.
//!
//! Source: image-spec `image-index.md`, "platform"; `os.version` is Windows' build, such as
//! `10.0.20348.2227`, of which the first three numbers decide whether a host can run the image.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::document::Descriptor;

/// For which machines an image is, or which is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Platform {
    /// The operating system, such as `windows`.
    pub os: String,
    /// The processor, such as `amd64`.
    pub architecture: String,
    /// The variant of the processor, such as `v8`.
    pub variant: Option<String>,
    /// The version of the operating system.
    #[serde(rename = "os.version")]
    pub os_version: Option<String>,
    /// What it needs of the operating system, such as `win32k`.
    #[serde(rename = "os.features")]
    pub os_features: Vec<String>,
}

/// Why a text is not a [`Platform`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform: expected OS/ARCHITECTURE[/VARIANT][:OS-VERSION]")]
pub struct PlatformError(pub String);

impl Platform {
    /// Returns the platform of Windows images that this machine could run, or that is most common.
    pub fn windows() -> Self {
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "amd64",
        };
        Self {
            os: "windows".to_owned(),
            architecture: architecture.to_owned(),
            ..Self::default()
        }
    }

    /// Returns whether an image for `offered` fits this wish. A version fits if it begins with the
    /// numbers that are wanted.
    pub fn fits(&self, offered: &Self) -> bool {
        let is_version = |wanted: &str| {
            let offered = offered.os_version.as_deref().unwrap_or_default();
            let rest = offered.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.os == offered.os
            && self.architecture == offered.architecture
            && (self.variant.is_none() || self.variant == offered.variant)
            && self.os_version.as_deref().is_none_or(is_version)
    }
}

/// Finds the image of an index that fits best: of several, the one for the build `host` of this
/// machine where that is known, else the newest. Returns its place and those of the others that fit.
pub fn select(
    offered: &[Descriptor],
    wanted: &Platform,
    host: Option<&str>,
) -> Option<(usize, Vec<usize>)> {
    let fits = |at: &usize| {
        let platform = offered[*at].platform.as_ref();
        platform.is_some_and(|platform| wanted.fits(platform))
    };
    let mut fitting: Vec<usize> = (0..offered.len()).filter(fits).collect();
    let version = |at: usize| {
        let platform = offered[at].platform.as_ref();
        platform
            .and_then(|platform| platform.os_version.as_deref())
            .unwrap_or_default()
    };
    let is_of_host = |at: usize| host.is_some_and(|host| build(version(at)) == build(host));
    // The first one of the best: an index lists what it prefers first.
    fitting.sort_by(|&one, &other| {
        let by_host = is_of_host(other).cmp(&is_of_host(one));
        by_host.then_with(|| compare(version(other), version(one)))
    });
    let best = *fitting.first()?;
    Some((best, fitting.split_off(1)))
}

/// The numbers that decide whether a host can run an image: `10.0.20348` of `10.0.20348.2227`.
fn build(version: &str) -> &str {
    let end = version.match_indices('.').nth(2);
    end.map_or(version, |(at, _)| &version[..at])
}

/// Compares versions number by number.
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        let numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
        numbers.collect()
    };
    numbers(one).cmp(&numbers(other))
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let fail = || PlatformError(text.to_owned());
        let (platform, os_version) = match text.split_once(':') {
            Some((platform, version)) => (platform, Some(version.to_owned())),
            None => (text, None),
        };
        let parts: Vec<&str> = platform.split('/').collect();
        let is_empty = |part: &&str| part.is_empty();
        if parts.iter().any(is_empty) || os_version.as_deref().is_some_and(str::is_empty) {
            return Err(fail());
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return Err(fail()),
        };
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant,
            os_version,
            os_features: Vec::new(),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        let version = self.os_version.as_deref();
        version.map_or(Ok(()), |version| write!(f, ":{version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn platform(text: &str) -> Platform {
        text.parse().expect(text)
    }

    fn offered(platforms: &[&str]) -> Vec<Descriptor> {
        let descriptor = |text: &&str| Descriptor {
            media_type: String::new(),
            digest: Digest::of(text.as_bytes()),
            size: 0,
            urls: Vec::new(),
            annotations: Default::default(),
            platform: (!text.is_empty()).then(|| platform(text)),
        };
        platforms.iter().map(descriptor).collect()
    }

    #[test]
    fn platforms_have_one_spelling() {
        for text in ["windows/amd64", "linux/arm/v7", "windows/amd64:10.0.20348"] {
            assert_eq!(platform(text).to_string(), text);
        }
        for bad in [
            "",
            "windows",
            "windows/",
            "/amd64",
            "a/b/c/d",
            "windows/amd64:",
        ] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_build_of_the_host_wins_and_then_the_newest() {
        let images = offered(&[
            "linux/amd64",
            "",
            "windows/amd64:10.0.17763.5329",
            "windows/amd64:10.0.20348.9",
            "windows/amd64:10.0.20348.2227",
            "windows/arm64:10.0.26100.1",
        ]);
        let pick = |wanted: &str, host| select(&images, &platform(wanted), host);
        assert_eq!(pick("windows/amd64", None), Some((4, vec![3, 2])));
        let host = Some("10.0.17763.1");
        assert_eq!(pick("windows/amd64", host), Some((2, vec![4, 3])));
        assert_eq!(pick("windows/amd64:10.0.17763", None), Some((2, vec![])));
        assert_eq!(pick("windows/amd64:10.0.1776", None), None);
        assert_eq!(pick("windows/arm64", host), Some((5, vec![])));
        assert_eq!(pick("linux/amd64", None), Some((0, vec![])));
        assert_eq!(pick("linux/arm64", None), None);
    }
}
