//! Entries of a view that pass tests.
//!
//! ```text
//! View ─→ walk ─→ tests of a node ─→ tests of its details ─→ nodes
//! ```
//!
//! Most tests look at the node alone, which the walk already has. Only the owner and the alternate
//! data streams are among the details, which a layer looks up entry by entry: [`Tests`] asks for
//! them last, and only for entries that pass all other tests.
//!
//! ```
//! use wclayer::find::{EntryType, Glob, Test, Tests, find};
//! use wclayer::source::{self, OpenOptions};
//!
//! let tar = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
//! let view = source::open(tar, &OpenOptions::default(), &())?;
//! let tests: Tests = [Test::Name(Glob::parse(b"*.json")?), Test::Type(EntryType::File)].into();
//! for node in find(&view, None, &tests, &()) {
//!     println!("{}", node?.path);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod glob;
mod test;

pub use glob::{Glob, GlobError};
pub use test::{EntryType, SizeTest, Test, Tests};

use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::view::{Node, View, Walk};

/// Finds the entries that pass all tests: `start` and those below it, or all of the view for
/// `None`. Each directory comes before its entries.
///
/// After an error the iterator ends. It returns [`Error::Cancelled`](crate::Error::Cancelled) once
/// `progress` is cancelled.
pub fn find<'a>(
    view: &'a View,
    start: Option<Node>,
    tests: &'a Tests,
    progress: &'a dyn Progress,
) -> Find<'a> {
    let has_below = start.as_ref().is_none_or(Node::is_plain_directory);
    Find {
        view,
        tests,
        progress,
        walk: has_below.then(|| view.walk(start.as_ref())),
        start,
    }
}

/// The entries of a view that pass tests; returned by [`find`].
pub struct Find<'a> {
    view: &'a View,
    tests: &'a Tests,
    progress: &'a dyn Progress,
    start: Option<Node>,
    walk: Option<Walk<'a>>,
}

impl Find<'_> {
    /// Returns the next entry, whether it passes or not.
    fn next_entry(&mut self) -> Result<Option<Node>> {
        if self.start.is_none() && self.walk.is_none() {
            return Ok(None);
        }
        poll(self.progress)?;
        match self.start.take() {
            Some(start) => Ok(Some(start)),
            None => self.walk.as_mut().and_then(Walk::next).transpose(),
        }
    }

    fn next_match(&mut self) -> Result<Option<Node>> {
        while let Some(node) = self.next_entry()? {
            if self.tests.pass(self.view, &node)? {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }
}

impl Iterator for Find<'_> {
    type Item = Result<Node>;

    fn next(&mut self) -> Option<Result<Node>> {
        let found = self.next_match();
        if found.is_err() {
            (self.start, self.walk) = (None, None);
        }
        found.transpose()
    }
}
