//! Who we are to a registry: what `docker login`, `podman login` and their helpers have kept.
//!
//! In this order: the file that `REGISTRY_AUTH_FILE` names; podman's `auth.json`; docker's
//! `config.json`. A file may name a repository: the longest name that fits wins. A credential is
//! kept in a type that does not print it.
//!
//! Sources: containers-auth.json(5); docker "Credential helpers protocol".

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::error::RegistryError;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// How docker names its own registry in its files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A name with a password, or a token that stands for both.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token of a token server.
    Identity(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Reads `USER:PASSWORD`.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, password) = text.split_once(':')?;
        Some(Self::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Returns the value of `Authorization` with a name and a password.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => Some(format!(
                "Basic {}",
                BASE64.encode(format!("{user}:{password}"))
            )),
            Self::Identity(_) => None,
        }
    }
}

/// A file with credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// Finds the credentials for a repository; none when nobody has kept any.
///
/// # Errors
///
/// Returns a [`RegistryError`] if a file or a helper that has them cannot be used.
pub(super) fn find(host: &str, repository: &str) -> Result<Option<Credentials>, RegistryError> {
    for file in files() {
        let Some(kept) = read(&file)? else { continue };
        if let Some(found) = find_in(&kept, host, repository, &ask_helper, &file)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Returns the files that may have credentials, the first to be asked first.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file.into()];
    }
    let in_folder = |name: &str, rest: &str| variable(name).map(|at| Path::new(&at).join(rest));
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let podman = in_folder("XDG_RUNTIME_DIR", "containers/auth.json");
    let config = in_folder("XDG_CONFIG_HOME", "containers/auth.json")
        .or_else(|| in_folder(home, ".config/containers/auth.json"));
    let docker = in_folder("DOCKER_CONFIG", "config.json")
        .or_else(|| in_folder(home, ".docker/config.json"));
    [podman, config, docker].into_iter().flatten().collect()
}

fn read(path: &Path) -> Result<Option<AuthFile>, RegistryError> {
    let fail = |problem, source| RegistryError::File {
        path: path.to_owned(),
        problem,
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail("cannot be opened", Some(error.into()))),
    };
    let mut text = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut text);
    read.map_err(|error| fail("cannot be read", Some(error.into())))?;
    if text.len() as u64 > MAX_FILE {
        return Err(fail("is too large for a file with credentials", None));
    }
    // The message of the parser could quote a secret.
    let parsed = serde_json::from_slice(&text);
    parsed
        .map(Some)
        .map_err(|_| fail("is not a file with credentials", None))
}

type AskHelper<'a> = &'a dyn Fn(&str, &str) -> Result<Option<Credentials>, RegistryError>;

fn find_in(
    kept: &AuthFile,
    host: &str,
    repository: &str,
    ask: AskHelper<'_>,
    path: &Path,
) -> Result<Option<Credentials>, RegistryError> {
    if let Some(helper) = kept.cred_helpers.get(host) {
        return ask(helper, host);
    }
    let names = names(host, repository);
    let of_hub = [DOCKER_HUB.to_owned()];
    let is_hub = matches!(
        host,
        "docker.io" | "registry-1.docker.io" | "index.docker.io"
    );
    let hub: &[String] = if is_hub { &of_hub } else { &[] };
    for name in names.iter().chain(hub) {
        let auth = kept.auths.iter().find(|(own, _)| is_same(own, name));
        if let Some(found) = auth.and_then(|(_, auth)| credentials_of(auth).transpose()) {
            return found.map(Some).map_err(|problem| RegistryError::File {
                path: path.to_owned(),
                problem,
                source: None,
            });
        }
    }
    match &kept.creds_store {
        Some(store) => ask(store, if is_hub { DOCKER_HUB } else { host }),
        None => Ok(None),
    }
}

/// Returns the names under which credentials may be kept, the longest first.
fn names(host: &str, repository: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    let mut name = host.to_owned();
    for component in repository.split('/') {
        name = format!("{name}/{component}");
        names.push(name.clone());
    }
    names.reverse();
    names
}

/// Returns whether a key of a file is a name: keys may be URLs.
fn is_same(key: &str, name: &str) -> bool {
    let bare = |text: &str| {
        let text = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        text.map(|text| text.trim_end_matches('/').to_owned())
    };
    key == name
        || bare(key).is_some_and(|key| {
            key == name || key == format!("{name}/v1") || key == format!("{name}/v2")
        })
}

fn credentials_of(auth: &Auth) -> Result<Option<Credentials>, &'static str> {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(token) = some(&auth.identitytoken) {
        return Ok(Some(Credentials::Identity(token)));
    }
    if let Some(encoded) = some(&auth.auth) {
        const WRONG: &str = "has an `auth` that is not base64 of USER:PASSWORD";
        let bytes = BASE64.decode(encoded.trim()).map_err(|_| WRONG)?;
        let text = String::from_utf8(bytes).map_err(|_| WRONG)?;
        let text = text.trim_end_matches('\0');
        return Credentials::parse(text).map(Some).ok_or(WRONG);
    }
    let pair = some(&auth.username).zip(some(&auth.password));
    Ok(pair.map(|(user, password)| Credentials::Password { user, password }))
}

/// Asks a program for credentials: the server goes in, JSON comes out.
fn ask_helper(name: &str, server: &str) -> Result<Option<Credentials>, RegistryError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let helper = format!("docker-credential-{name}");
    let fail = |problem: &str| RegistryError::Helper {
        helper: helper.clone(),
        problem: problem.to_owned(),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(fail("has a name that no program has"));
    }
    let started = Command::new(&helper)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.map_err(|error| fail(&format!("cannot be started: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read has its reasons; its answer tells.
        let _ = writeln!(input, "{server}");
    }
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        let read = output.take(MAX_FILE).read_to_end(&mut text);
        read.map_err(|error| fail(&format!("cannot be read from: {error}")))?;
    }
    let ended = child.wait();
    let ended = ended.map_err(|error| fail(&format!("cannot be waited for: {error}")))?;
    if !ended.success() {
        // The protocol's words for a server without credentials.
        let is_none = String::from_utf8_lossy(&text).contains("credentials not found");
        return match is_none {
            true => Ok(None),
            false => Err(fail("failed")),
        };
    }
    let answer: Answer =
        serde_json::from_slice(&text).map_err(|_| fail("did not answer with credentials"))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credentials::Identity(answer.secret),
        _ => Credentials::Password {
            user: answer.username,
            password: answer.secret,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(json: serde_json::Value) -> AuthFile {
        serde_json::from_value(json).expect("a file")
    }

    fn user(kept: &AuthFile, host: &str, repository: &str) -> Option<String> {
        let ask = |name: &str, server: &str| Ok(Credentials::parse(&format!("{name} {server}:x")));
        match find_in(kept, host, repository, &ask, Path::new("file")).expect("readable") {
            Some(Credentials::Password { user, .. }) => Some(user),
            Some(Credentials::Identity(token)) => Some(format!("token {token}")),
            None => None,
        }
    }

    fn auth(user: &str) -> serde_json::Value {
        serde_json::json!({ "auth": BASE64.encode(format!("{user}:secret")) })
    }

    #[test]
    fn the_longest_name_wins() {
        let kept = kept(serde_json::json!({ "auths": {
            "a.b": auth("host"), "a.b/x": auth("space"), "a.b/x/y": auth("repository"),
            "https://c.d/v2/": auth("url"), "https://index.docker.io/v1/": auth("hub"),
            "e.f": { "identitytoken": "t", "auth": "" }, "g.h": {},
        }}));
        for (host, repository, expected) in [
            ("a.b", "x/y", Some("repository")),
            ("a.b", "x/z", Some("space")),
            ("a.b", "xx", Some("host")),
            ("c.d", "x", Some("url")),
            ("docker.io", "library/x", Some("hub")),
            ("e.f", "x", Some("token t")),
            ("g.h", "x", None),
            ("a.b:5000", "x", None),
        ] {
            assert_eq!(
                user(&kept, host, repository).as_deref(),
                expected,
                "{host}/{repository}"
            );
        }
    }

    #[test]
    fn helpers_are_asked_for_their_hosts_and_stores_for_the_rest() {
        let kept = kept(serde_json::json!({
            "auths": { "a.b": auth("file") },
            "credHelpers": { "c.d": "helper" },
            "credsStore": "store",
        }));
        assert_eq!(user(&kept, "a.b", "x").as_deref(), Some("file"));
        assert_eq!(user(&kept, "c.d", "x").as_deref(), Some("helper c.d"));
        assert_eq!(user(&kept, "e.f", "x").as_deref(), Some("store e.f"));
    }

    #[test]
    fn a_broken_entry_is_an_error_without_the_secret() {
        let kept = kept(serde_json::json!({ "auths": { "a.b": { "auth": "c2VjcmV0" } } }));
        let error = find_in(&kept, "a.b", "x", &|_, _| Ok(None), Path::new("file"));
        let text = format!("{:?}", error.expect_err("no colon in it"));
        assert!(!text.contains("secret") && !text.contains("c2Vj"), "{text}");
        assert_eq!(
            format!("{:?}", Credentials::parse("a:b")),
            "Some(Credentials)"
        );
        assert!(ask_helper("../x", "a.b").is_err());
    }
}
