//! A JSON object with one long list, written item by item: a layer may have any number of entries.
//!
//! A failure after the start becomes the member `error` of the object (`docs/json.md`), so that the
//! output is always one object.

use std::io::{self, Write};

use serde::Serialize;

use crate::errors::{self, CliError};

/// An object that is being written to a sink.
pub(crate) struct ListJson<W> {
    sink: W,
    is_first: bool,
}

impl<W: Write> ListJson<W> {
    /// Starts the object with members, each a name and a value, and the name of the list.
    pub(crate) fn start(sink: W, members: &[(&str, &str)], list: &str) -> Result<Self, CliError> {
        let mut object = Self {
            sink,
            is_first: true,
        };
        let written = object.write_start(members, list);
        written.map_err(CliError::Stdout).map(|()| object)
    }

    /// Adds an item to the list.
    pub(crate) fn add(&mut self, item: &impl Serialize) -> Result<(), CliError> {
        let before: &[u8] = if self.is_first { b"\n  " } else { b",\n  " };
        self.is_first = false;
        let written = self.sink.write_all(before);
        let written = written.and_then(|()| self.write_value(item));
        written.map_err(CliError::Stdout)
    }

    /// Ends the object with the result of the listing, as the member `last` if that has a name, or
    /// with the error that ended it early. Returns the result.
    pub(crate) fn end<T: Serialize>(
        mut self,
        last: Option<&str>,
        listed: Result<T, CliError>,
    ) -> Result<T, CliError> {
        let value = match listed {
            Ok(value) => value,
            Err(error) => return Err(self.end_early(error)),
        };
        let written = match last {
            Some(name) => self.write_last(name, &value),
            None => self.write_end(b"\n]}\n"),
        };
        written.map_err(CliError::Stdout).map(|()| value)
    }

    fn end_early(mut self, error: CliError) -> CliError {
        if matches!(error, CliError::Stdout(_)) {
            return error;
        }
        match self.write_last("error", &errors::json(&error)) {
            Ok(()) => CliError::InJson(Box::new(error)),
            Err(error) => CliError::Stdout(error),
        }
    }

    fn write_start(&mut self, members: &[(&str, &str)], list: &str) -> io::Result<()> {
        self.sink.write_all(b"{")?;
        for (name, value) in members {
            self.write_value(name)?;
            self.sink.write_all(b": ")?;
            self.write_value(value)?;
            self.sink.write_all(b", ")?;
        }
        self.write_value(&list)?;
        self.sink.write_all(b": [")
    }

    /// Ends the list, adds a last member and ends the object.
    fn write_last(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.sink.write_all(b"\n], ")?;
        self.write_value(&name)?;
        self.sink.write_all(b": ")?;
        self.write_value(value)?;
        self.write_end(b"}\n")
    }

    fn write_end(&mut self, end: &[u8]) -> io::Result<()> {
        self.sink.write_all(end)?;
        self.sink.flush()
    }

    fn write_value(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.sink, value).map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(items: &[u32], last: Option<&str>, listed: Result<u32, CliError>) -> String {
        let mut text = Vec::new();
        let mut list = ListJson::start(&mut text, &[("a", "\"")], "items").expect("memory");
        for item in items {
            list.add(item).expect("memory");
        }
        let is_ok = listed.is_ok();
        assert_eq!(list.end(last, listed).is_ok(), is_ok);
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn one_object_is_written_in_any_case() {
        let start = r#"{"a": "\"", "items": ["#;
        for (items, last, end) in [
            (&[][..], None, "\n]}\n"),
            (&[1, 2], None, "\n  1,\n  2\n]}\n"),
            (&[1], Some("stat"), "\n  1\n], \"stat\": 7}\n"),
        ] {
            assert_eq!(written(items, last, Ok(7)), format!("{start}{end}"));
        }
        let text = written(&[1], Some("stat"), Err(wclayer::Error::Cancelled.into()));
        let json: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(json["error"]["kind"], "cancelled");
        assert!(json.get("stat").is_none(), "{text}");
    }
}
