//! For random chains, `import`, `validate` and the model agree on each layer: if an import rejects
//! it, `validate` reports an error, and the reverse holds for the rules that an import enforces.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use proptest::prelude::*;
use wclayer::ParentChain;
use wclayer::portable::{self, ImportOptions};
use wclayer::rules::Rule;
use wclayer::source::{self, Access};
use wclayer::validate::validate_tar;

use crate::model::{Op, State, apply, broken_op, layers, write};

/// The rules on whole layers that an import enforces.
const ENFORCED: [Rule; 8] = [
    Rule::BelowFile,
    Rule::BelowReparsePoint,
    Rule::DuplicateKind,
    Rule::LinkTargetMissing,
    Rule::LinkToDirectory,
    Rule::LinkLoop,
    Rule::LinkTooMany,
    Rule::WhiteoutInBase,
];

/// Checks layers that are stacked on top of each other, base first. A rejected layer is left out of
/// the chain.
fn check(layers: &[Vec<Op>]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut below = State::new();
    // Nearest first: as tars, and as portable layers.
    let mut chain: Vec<[PathBuf; 2]> = Vec::new();
    for ops in layers {
        let number = chain.len();
        let tar = write(folder.path(), number, ops);
        let of_kind = |kind: usize| {
            chain
                .iter()
                .map(move |layer| &layer[kind])
                .collect::<Vec<_>>()
        };
        let is_legal = broken_op(&below, number, ops).is_none();
        let tars: Vec<PathBuf> = of_kind(0).into_iter().cloned().collect();
        let parents = (!tars.is_empty())
            .then(|| source::open_chain(&tars, Access::default(), &()).expect("parents"));
        let source = File::open(&tar).expect("a tar");
        let report = validate_tar(source, parents.as_ref(), 1, &()).expect("a report");
        let broken = report.rules.keys().filter(|rule| ENFORCED.contains(rule));
        let broken: BTreeSet<_> = broken.collect();
        assert_eq!(
            broken.is_empty(),
            is_legal,
            "{broken:?} {ops:?} on {layers:?}"
        );
        let place = folder.path().join(format!("portable {number}"));
        let options = ImportOptions::default().parents(ParentChain::from_nearest_first(of_kind(1)));
        let source = File::open(&tar).expect("a tar");
        let imported = portable::import(source, &place, &options, &());
        assert_eq!(
            imported.is_ok(),
            is_legal,
            "{:?} {ops:?} on {layers:?}",
            imported.err()
        );
        if is_legal {
            below = apply(&below, number, ops);
            chain.insert(0, [tar, place]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn import_and_validate_and_the_model_agree(layers in layers()) {
        check(&layers);
    }
}

/// Random layers are too small to reach this depth often.
#[test]
fn import_and_validate_and_the_model_agree_on_three_layers_and_more() {
    let path = |text: &str| text.to_owned();
    let kinds = |text: &str| {
        [
            None,
            Some(Op::Directory(path(text))),
            Some(Op::File(path(text))),
            Some(Op::Junction(path(text))),
            Some(Op::Link(path(text), path("Files/f"))),
            Some(Op::File(format!("{text}/implied"))),
            Some(Op::Whiteout(path(text))),
            Some(Op::Opaque(path(text))),
        ]
    };
    let start = vec![Op::File(path("Files/f"))];
    for base in kinds("Files/d") {
        for middle in kinds("Files/D") {
            let mut layers = vec![start.clone()];
            layers.extend([base.clone(), middle].map(|op| op.into_iter().collect()));
            layers.push(vec![Op::Link(path("Files/l"), path("Files/d"))]);
            layers.push(vec![Op::File(path("Files/d/x"))]);
            check(&layers);
        }
    }
}
