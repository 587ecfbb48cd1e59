//! [`Test`]: a condition on an entry; [`Tests`]: several of them, the cheap ones first.

use ntmeta::security::Sid;
use ntmeta::{FileAttributes, FileTime, SecurityDescriptor, wide};

use super::Glob;
use crate::error::Result;
use crate::layer::{Details, Removed};
use crate::view::{Node, NodeKind, View};

/// A condition on an entry of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Test {
    /// The last component of the path matches.
    Name(Glob),
    /// The whole path matches.
    Path(Glob),
    /// The entry is of this type.
    Type(EntryType),
    /// The entry is a file, and the size of its unnamed stream passes.
    Size(SizeTest),
    /// The entry has all of these attributes.
    Attributes(FileAttributes),
    /// The entry comes from the layer with this number, 0 for the nearest.
    Layer(usize),
    /// The entry was last written after this time. Implied directories and removals have no times
    /// and never pass.
    NewerThan(FileTime),
    /// The security descriptor names this owner.
    Owner(Sid),
    /// The entry has alternate data streams.
    HasStreams,
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryType {
    /// A file with one or several names, but not a reparse point.
    File,
    /// A directory, but not a reparse point.
    Directory,
    /// A reparse point: a symbolic link, a junction or another one.
    ReparsePoint,
    /// A hard link: a further name of a file.
    HardLink,
    /// A removal of a path, or of the contents of a directory, of the layers out of sight.
    Removal,
}

/// A condition on a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeTest {
    /// More than this.
    Above(u64),
    /// Less than this.
    Below(u64),
    /// Exactly this.
    Exactly(u64),
}

impl SizeTest {
    /// Returns whether a size passes.
    pub fn passes(self, size: u64) -> bool {
        match self {
            Self::Above(limit) => size > limit,
            Self::Below(limit) => size < limit,
            Self::Exactly(wanted) => size == wanted,
        }
    }
}

impl EntryType {
    /// Returns whether a node is of this type. A hard link is also a file or a reparse point, and
    /// an opaque directory is also a directory.
    pub fn matches(self, node: &Node) -> bool {
        match self {
            Self::File => node.kind == NodeKind::File && !node.is_reparse_point(),
            Self::Directory => node.is_plain_directory(),
            Self::ReparsePoint => node.is_reparse_point(),
            Self::HardLink => node.link.is_some(),
            Self::Removal => {
                node.kind == NodeKind::Removal || node.removed == Some(Removed::Contents)
            }
        }
    }
}

impl Test {
    /// Returns whether the test looks at [`Details`], rather than at the node alone.
    pub fn needs_details(&self) -> bool {
        matches!(self, Self::Owner(_) | Self::HasStreams)
    }

    /// Returns whether an entry passes, given its details if the test
    /// [needs](Self::needs_details) them.
    fn passes(&self, node: &Node, details: &Details) -> bool {
        match self {
            Self::Name(glob) => glob.matches(&wide::from_wtf8(node.path.file_name())),
            Self::Path(glob) => glob.matches(&node.path.to_utf16()),
            Self::Type(wanted) => wanted.matches(node),
            Self::Size(size) => node.kind == NodeKind::File && size.passes(node.size()),
            Self::Attributes(wanted) => node.attributes().contains(*wanted),
            Self::Layer(layer) => node.layer == *layer,
            Self::NewerThan(time) => {
                (node.basic_info()).is_some_and(|info| info.last_write_time > *time)
            }
            Self::Owner(wanted) => owner(details).as_ref() == Some(wanted),
            Self::HasStreams => details.streams.iter().any(|stream| stream.name.is_some()),
        }
    }
}

/// Returns the owner that the security descriptor names; `None` if it is malformed.
fn owner(details: &Details) -> Option<Sid> {
    let security = details.security.as_deref()?;
    SecurityDescriptor::parse(security).ok()?.owner
}

/// Conditions on an entry, all of which must hold.
#[derive(Debug, Clone, Default)]
pub struct Tests {
    of_node: Vec<Test>,
    of_details: Vec<Test>,
}

impl Tests {
    /// Returns whether an entry passes all tests. The layer is asked for the details only if a test
    /// needs them and all others pass.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer cannot be read.
    pub fn pass(&self, view: &View, node: &Node) -> Result<bool> {
        self.pass_with(node, || view.details(node))
    }

    fn pass_with(&self, node: &Node, details: impl FnOnce() -> Result<Details>) -> Result<bool> {
        let none = Details::default();
        let passes = self.of_node.iter().all(|test| test.passes(node, &none));
        if !passes || self.of_details.is_empty() {
            return Ok(passes);
        }
        let details = details()?;
        Ok(self
            .of_details
            .iter()
            .all(|test| test.passes(node, &details)))
    }
}

impl FromIterator<Test> for Tests {
    fn from_iter<T: IntoIterator<Item = Test>>(tests: T) -> Self {
        let (of_details, of_node) = tests.into_iter().partition(Test::needs_details);
        Self {
            of_node,
            of_details,
        }
    }
}

impl<const N: usize> From<[Test; N]> for Tests {
    fn from(tests: [Test; N]) -> Self {
        tests.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "portable")]
    use crate::layer::StreamDetails;
    #[cfg(feature = "portable")]
    use crate::source::{self, OpenOptions};

    /// Returns a file of three bytes in the nearest layer.
    #[cfg(feature = "portable")]
    fn node() -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        // The packages have no other builder of tars.
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(3);
        let added = tar.append_data(&mut header, "Files/a.txt", &b"abc"[..]);
        added.expect("memory");
        let path = folder.path().join("layer.tar");
        std::fs::write(&path, tar.into_inner().expect("memory")).expect("written");
        let view = source::open(&path, &OpenOptions::default(), &()).expect("a view");
        let path = "Files/a.txt".parse().expect("a path");
        view.find(&path).expect("readable").expect("the file")
    }

    #[cfg(feature = "portable")]
    fn with_stream() -> Details {
        let stream = StreamDetails {
            name: Some(crate::StreamName::parse(b"s").expect("a name")),
            size: 1,
            allocated: 1,
            is_sparse: false,
            sha256: None,
        };
        Details {
            streams: vec![stream],
            ..Details::default()
        }
    }

    #[cfg(feature = "portable")]
    #[test]
    fn details_are_read_once_and_only_if_all_other_tests_pass() {
        let node = node();
        let owner = || Test::Owner(Sid::from_well_known_name("administrators").expect("a SID"));
        let above = |size| Test::Size(SizeTest::Above(size));
        for (tests, reads, passes) in [
            (vec![], 0, true),
            (vec![above(2)], 0, true),
            (vec![Test::HasStreams, above(3)], 0, false),
            (vec![owner(), Test::Layer(1), Test::HasStreams], 0, false),
            (vec![Test::HasStreams, above(2)], 1, true),
            (vec![owner(), Test::HasStreams, Test::Layer(0)], 1, false),
        ] {
            let mut read = 0;
            let details = || {
                read += 1;
                Ok(with_stream())
            };
            let label = format!("{tests:?}");
            let tests: Tests = tests.into_iter().collect();
            let found = tests.pass_with(&node, details).expect("readable");
            assert_eq!((read, found), (reads, passes), "{label}");
        }
    }

    #[test]
    fn sizes_are_compared() {
        for (test, passing) in [
            (SizeTest::Above(2), [false, false, true]),
            (SizeTest::Below(2), [true, false, false]),
            (SizeTest::Exactly(2), [false, true, false]),
        ] {
            assert_eq!([1, 2, 3].map(|size| test.passes(size)), passing, "{test:?}");
        }
    }
}
