//! What a registry answers to a request without credentials: `WWW-Authenticate`.
//!
//! Sources: RFC 9110, 11.6.1; distribution-spec, "Token Authentication Specification".

/// What a registry wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// The name and the password with each request.
    Basic,
    /// A token of a token server.
    Bearer {
        /// Where the token server is.
        realm: String,
        /// What the token server calls the registry.
        service: Option<String>,
        /// What the token is to allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads a header; of several challenges, that for a token comes first.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let challenges = split(header);
        let mut all = challenges.iter().map(|(scheme, parameters)| {
            let value = |name: &str| {
                let found = parameters
                    .iter()
                    .find(|(own, _)| own.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("basic") {
                return Some(Self::Basic);
            }
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            let realm = value("realm").filter(|_| is_bearer)?;
            Some(Self::Bearer {
                realm,
                service: value("service"),
                scope: value("scope"),
            })
        });
        let is_bearer = |found: &Option<Self>| matches!(found, Some(Self::Bearer { .. }));
        let first = all.clone().find(is_bearer);
        first.or_else(|| all.find(Option::is_some)).flatten()
    }
}

type Parameters = Vec<(String, String)>;

/// Splits a header into schemes with their parameters.
fn split(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        if end == 0 {
            return found;
        }
        let (name, behind) = rest.split_at(end);
        match behind.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, behind) = value_of(value.trim_start());
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((name.to_owned(), value));
                }
                rest = behind;
            }
            None => {
                found.push((name.to_owned(), Vec::new()));
                rest = behind;
            }
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Reads a value, quoted or not; returns what is behind it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn every_spelling_of_a_challenge_is_read() {
        let hub = r#"Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push""#;
        let expected = bearer("https://a/t", Some("r"), Some("repository:a/b:pull,push"));
        assert_eq!(Challenge::parse(hub), expected);
        let spaced = r#"bearer  Realm = "https://a/\"t" , service=r"#;
        assert_eq!(
            Challenge::parse(spaced),
            bearer("https://a/\"t", Some("r"), None)
        );
        assert_eq!(
            Challenge::parse(r#"Basic realm="x""#),
            Some(Challenge::Basic)
        );
        let both = r#"Basic realm="x", Bearer realm="y""#;
        assert_eq!(Challenge::parse(both), bearer("y", None, None));
        assert_eq!(
            Challenge::parse(r#"Negotiate, Basic realm="x""#),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn anything_else_is_no_challenge_and_ends() {
        for text in [
            "",
            ",",
            "Digest realm=\"x\"",
            "Bearer",
            "Bearer realm",
            "\"",
            "Bearer service=x",
            "=x",
        ] {
            assert_eq!(Challenge::parse(text), None, "{text}");
        }
        assert_eq!(
            Challenge::parse("Bearer realm=\"open"),
            bearer("open", None, None)
        );
    }
}
