//! Rules on the alternate streams behind a file.

use std::collections::HashSet;

use super::Rule;
use crate::path::{LayerPath, StreamName};

/// How many streams of a file are remembered; NTFS has hardly room for more.
const MAX_STREAMS: usize = 8192;

/// The file before, and its streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// As in the tar.
    file: Vec<u8>,
    /// Names of streams, which compare as names of files do.
    seen: HashSet<LayerPath>,
}

impl Streams {
    /// Starts with a file.
    pub(super) fn start(&mut self, file: &[u8]) {
        self.file.clear();
        self.file.extend_from_slice(file);
        self.seen.clear();
    }

    /// Checks a stream of the file; `member` is its whole name, as in the tar.
    pub(super) fn check(&mut self, member: &[u8], name: &StreamName) -> Vec<Rule> {
        let mut broken = Vec::new();
        let rest = member.strip_prefix(&self.file[..]);
        if rest.is_none_or(|rest| rest.first() != Some(&b':')) {
            broken.push(Rule::StreamSpelling);
        }
        if let Ok(name) = LayerPath::parse(name.as_bytes())
            && self.seen.len() < MAX_STREAMS
            && !self.seen.insert(name)
        {
            broken.push(Rule::StreamTwice);
        }
        broken
    }
}
