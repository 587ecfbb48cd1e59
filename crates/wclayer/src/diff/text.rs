//! Values as the text of a difference.

use ntmeta::ReparsePoint;

use crate::layer::Details;
use crate::view::{Node, NodeKind};

/// Returns both reparse points in words, with their bytes if the words are the same.
pub(super) fn reparse(left: &Details, right: &Details) -> [Option<String>; 2] {
    let words = |details: &Details| {
        let buffer = details.reparse.as_deref()?;
        Some(match ReparsePoint::decode(buffer) {
            Ok(point) => point.explain().to_string(),
            Err(error) => format!("malformed: {error}"),
        })
    };
    let both = [words(left), words(right)];
    if left.reparse == right.reparse || both[0] != both[1] {
        return both;
    }
    [left, right].map(|details| {
        let (words, buffer) = (words(details)?, details.reparse.as_deref()?);
        Some(format!("{words}, {}", hex(buffer)))
    })
}

pub(super) fn kind(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::File => "file",
        NodeKind::Directory => "directory",
        NodeKind::Removal => "removal",
    }
}

/// Returns bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
