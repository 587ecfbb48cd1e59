//! Three layers on top of one another, made of any bytes: the merged view answers every question
//! without a panic and consistently, the squashed layer looks the same, and extracted files stay in
//! their folder. `import`, `validate` and the naive model agree on each layer.
//!
//! The first byte divides the rest between the three tars.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use wclayer::ParentChain;
use wclayer::diff::{DiffOptions, diff};
use wclayer::extract::{ExtractOptions, ExtractWriter};
use wclayer::hub::copy;
use wclayer::source::{self, OpenOptions};
use wclayer::squash::{SquashOptions, squash};
use wclayer::tar::TarLayerWriter;
use wclayer::view::{Node, View};
use wclayer_fuzz::{agree, repair_checksums};

/// The maximum content that one input may expand to, in bytes: holes make a small input large.
const LIMIT: u64 = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let (upper, rest) = rest.split_at(rest.len() * usize::from(first >> 4) / 15);
    let share = usize::from(first & 15).min(14);
    let (middle, base) = rest.split_at(rest.len() * share / 14);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tars = [
        ("upper.tar", upper),
        ("middle.tar", middle),
        ("base.tar", base),
    ];
    let mut layers = tars.map(|(name, tar)| {
        let path = folder.path().join(name);
        fs::write(&path, repair_checksums(tar)).expect("a file");
        path
    });
    let inside = folder.path().join("portable");
    fs::create_dir(&inside).expect("new");
    layers.reverse();
    agree::check(&layers, &inside);
    layers.reverse();
    let (Some(view), Some(other)) = (open(&layers), open(&layers)) else {
        return;
    };
    let Some(before) = look(&view) else { return };
    let options = DiffOptions::default();
    let difference = diff(&view, &other, &options, &()).next();
    assert!(difference.is_none(), "a view equals itself: {difference:?}");
    extract(&view, folder.path());
    check_squashed(view, folder.path(), before);
});

fn open(layers: &[PathBuf]) -> Option<View> {
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(&layers[1..]),
        ..OpenOptions::default()
    };
    source::open(&layers[0], &options, &()).ok()
}

/// Queries every entry in every way and returns a description of each; `None` if there is too much.
fn look(view: &View) -> Option<BTreeMap<String, String>> {
    let mut seen = BTreeMap::new();
    let mut total = 0_u64;
    for node in view.walk(None) {
        let node = node.expect("indexed entries can be read");
        let found = view.find(&node.path).expect("readable");
        assert_eq!(found.as_ref(), Some(&node), "walk and find agree");
        view.resolve(&node.path).expect("readable");
        view.slots(&node.path).expect("readable");
        let names = view.names(&node).expect("readable");
        assert!(names.contains(&node.path));
        total += node.item.as_ref().map_or(0, |item| item.total_size);
        if total > LIMIT {
            return None;
        }
        seen.insert(node.path.to_string().to_lowercase(), what(view, &node));
    }
    Some(seen)
}

fn what(view: &View, node: &Node) -> String {
    let details = view.details(node).expect("readable");
    let mut text = format!("{:?} {}", node.kind, node.is_reparse_point());
    for stream in &details.streams {
        let mut bytes = Vec::new();
        let content = view.content(node, stream.name.as_ref());
        let read = content.expect("there").reader().read_to_end(&mut bytes);
        assert_eq!(read.expect("readable") as u64, stream.size);
        // Whether a file has empty data or no data is not kept (`docs/vendor-records.md`).
        if stream.name.is_none() && stream.size == 0 {
            continue;
        }
        text += &format!(" {:?} {}", stream.name, wclayer::Digest::of(&bytes));
    }
    text
}

fn check_squashed(view: View, folder: &Path, before: BTreeMap<String, String>) {
    let writer = TarLayerWriter::new(Vec::new());
    let options = SquashOptions::default().lose_registry(true);
    let Ok(squashed) = squash(view, options, writer, &()) else {
        return;
    };
    let path = folder.join("squashed.tar");
    fs::write(&path, squashed.output).expect("a file");
    let view = open(&[path]).expect("our own output can be read");
    let after = look(&view).expect("the same amount as before");
    assert_eq!(
        after.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    assert_eq!(after, before);
}

fn extract(view: &View, folder: &Path) {
    let names = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("a name").path()).collect();
        names.sort();
        names
    };
    let inside = folder.join("out");
    fs::create_dir(&inside).expect("new");
    let before = names(folder);
    let writer =
        ExtractWriter::new(&inside, ExtractOptions::default().xattrs(true)).expect("a folder");
    let _ = copy(&mut view.reader(&[]), writer, &());
    assert_eq!(names(folder), before);
}
