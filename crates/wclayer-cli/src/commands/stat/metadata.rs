//! Shows extended attributes and reparse points. Reports malformed ones without failing.

use serde::Serialize;
use wclayer::ntmeta::{ReparsePoint, ea, wide};

use crate::output::Summary;

/// How many bytes of an extended attribute the text shows.
const SHOWN_BYTES: usize = 32;

/// An extended attribute as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EaJson {
    name: String,
    flags: u8,
    size: usize,
    value: String,
    text: Option<String>,
}

/// A reparse point as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReparseJson {
    size: usize,
    tag: Option<String>,
    tag_value: Option<u32>,
    target: Option<String>,
    relative: Option<bool>,
    application: Option<ApplicationJson>,
    problem: Option<String>,
    #[serde(skip)]
    words: String,
}

/// The target of an app execution alias as JSON.
#[derive(Debug, Serialize)]
struct ApplicationJson {
    package: String,
    id: String,
    executable: String,
}

/// Decodes a list of extended attributes; also returns the problem with a malformed one.
pub(super) fn extended_attributes(list: Option<&[u8]>) -> (Vec<EaJson>, Option<String>) {
    match list.map(ea::decode_list) {
        None => (Vec::new(), None),
        Some(Ok(attributes)) => (attributes.into_iter().map(EaJson::new).collect(), None),
        Some(Err(error)) => (Vec::new(), Some(error.to_string())),
    }
}

impl EaJson {
    fn new(attribute: ea::ExtendedAttribute) -> Self {
        let value = attribute.value;
        let text = std::str::from_utf8(&value).ok();
        let is_printable = |text: &&str| !text.is_empty() && !text.chars().any(char::is_control);
        Self {
            name: String::from_utf8_lossy(&attribute.name).into_owned(),
            flags: attribute.flags,
            size: value.len(),
            value: value.iter().map(|byte| format!("{byte:02x}")).collect(),
            text: text.filter(is_printable).map(ToOwned::to_owned),
        }
    }

    pub(super) fn row(&self, summary: &mut Summary) {
        let (name, size, flags) = (&self.name, self.size, self.flags);
        let shown = self.value.get(..2 * SHOWN_BYTES).unwrap_or(&self.value);
        let (colon, cut) = match (shown.len(), self.value.len()) {
            (0, _) => ("", ""),
            (shown, all) if shown < all => (": ", "…"),
            _ => (": ", ""),
        };
        let text = match &self.text {
            Some(text) => {
                let start: String = text.chars().take(SHOWN_BYTES).collect();
                let cut = if start.len() < text.len() { "…" } else { "" };
                format!(" \"{start}{cut}\"")
            }
            None => String::new(),
        };
        summary.row(
            "EA",
            format!("{name}: {size} bytes, flags {flags:#x}{colon}{shown}{cut}{text}"),
        );
    }
}

impl ReparseJson {
    pub(super) fn new(buffer: &[u8]) -> Self {
        let mut json = Self {
            size: buffer.len(),
            tag: None,
            tag_value: None,
            target: None,
            relative: None,
            application: None,
            problem: None,
            words: String::new(),
        };
        match ReparsePoint::decode(buffer) {
            Err(error) => json.problem = Some(error.to_string()),
            Ok(point) => json.fill(&point),
        }
        json
    }

    fn fill(&mut self, point: &ReparsePoint) {
        let text = |bytes: &[u8]| wide::display(bytes).into_owned();
        let target = point.target();
        let target = target.as_deref().or_else(|| point.lx_target());
        self.tag = Some(point.tag().to_string());
        self.tag_value = Some(point.tag().0);
        self.target = target.map(text);
        self.relative = point.is_relative();
        self.application = point.app_exec_link().map(|link| ApplicationJson {
            package: text(&link.package),
            id: text(&link.application),
            executable: text(&link.executable),
        });
        self.words = point.explain().to_string();
    }

    pub(super) fn rows(&self, summary: &mut Summary) {
        if let Some(problem) = &self.problem {
            let size = self.size;
            summary.row("reparse", format!("malformed, {size} bytes: {problem}"));
            return;
        }
        summary.row("reparse", &self.words);
        if let (Some(tag), Some(value)) = (&self.tag, self.tag_value) {
            summary.row("tag", format!("{tag} ({value:#010x})"));
        }
        if let Some(application) = &self.application {
            summary.row("package", &application.package);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_list_is_reported_without_failing() {
        let (attributes, problem) = extended_attributes(Some(b"\0\0\0\0\0\x09"));
        assert!(attributes.is_empty());
        assert!(problem.is_some_and(|problem| problem.contains("6 are left")));
        assert!(extended_attributes(None).1.is_none());
    }

    #[test]
    fn printable_values_are_also_shown_as_text() {
        let of = |value: &[u8]| {
            EaJson::new(ea::ExtendedAttribute {
                flags: 0,
                name: b"A".to_vec(),
                value: value.to_vec(),
            })
        };
        assert_eq!(of("grün".as_bytes()).text.as_deref(), Some("grün"));
        for value in [&b"\x01\0\0\0"[..], b"", b"\xff\xfe", b"a\x1b[2J"] {
            assert_eq!(of(value).text, None, "{value:x?}");
        }
    }

    #[test]
    fn a_malformed_reparse_point_is_reported_without_failing() {
        let json = ReparseJson::new(b"\x0c\0\0\xa0\x08");
        assert!(json.problem.is_some() && json.tag.is_none());
        let mut summary = Summary::new("x".to_owned());
        json.rows(&mut summary);
        assert!(summary.to_string().contains("malformed, 5 bytes"));
    }
}
