//! Rules on the data streams of a file.

use std::collections::HashSet;

use super::Rule;
use crate::path::{LayerPath, StreamName};

/// How many streams of a file are remembered; NTFS hardly has room for more.
const MAX_STREAMS: usize = 8192;

/// The streams of the current file.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The name of the file as the tar spells it.
    file: Vec<u8>,
    /// The names of its streams, which compare as names of files do.
    seen: HashSet<LayerPath>,
}

impl Streams {
    /// Starts a file.
    pub(super) fn start(&mut self) {
        self.file.clear();
        self.seen.clear();
    }

    /// Starts a file of a tar, with its name as the tar spells it.
    pub(super) fn start_member(&mut self, file: &[u8]) {
        self.start();
        self.file.extend_from_slice(file);
    }

    /// Checks that a stream of a tar spells its file as the file's own entry does. `member` is the
    /// whole name of the stream as the tar spells it.
    pub(super) fn check_spelling(&self, member: &[u8]) -> Option<Rule> {
        let rest = member.strip_prefix(&self.file[..]);
        let is_same = rest.is_some_and(|rest| rest.first() == Some(&b':'));
        (!is_same).then_some(Rule::StreamSpelling)
    }

    /// Checks that a stream comes once.
    pub(super) fn check(&mut self, name: &StreamName) -> Option<Rule> {
        let name = LayerPath::parse(name.as_bytes()).ok()?;
        let is_repeated = self.seen.len() < MAX_STREAMS && !self.seen.insert(name);
        is_repeated.then_some(Rule::StreamTwice)
    }
}
