//! Random layers for the model, and their tars.

use std::fs::File;
use std::path::{Path, PathBuf};

use layergen::{Meta, TarBuilder};
use proptest::prelude::*;

use crate::model::{Identity, Op, content};

/// The write time of an entry, in ticks: each has its own.
pub(crate) fn time(identity: Identity) -> u64 {
    layergen::UNIX_EPOCH + (identity.0 as u64 * 1000 + identity.1 as u64) * 10_000_000
}

/// Writes a layer as a tar; returns its file.
pub(crate) fn write(folder: &Path, number: usize, ops: &[Op]) -> PathBuf {
    let path = folder.join(format!("{number}.tar"));
    let mut tar = TarBuilder::new(File::create(&path).expect("a file"));
    for (place, op) in ops.iter().enumerate() {
        let identity = (number, place);
        let meta = |attributes| Meta {
            write_time: Some(time(identity)),
            ..Meta::with_attributes(attributes)
        };
        let written = match op {
            Op::Directory(path) => tar.directory(path, &meta(0x10)),
            Op::File(path) => tar.file(path, &meta(0x20), content(identity).as_bytes()),
            Op::Junction(path) => tar.junction(path, "C:\\x", &meta(0x410)),
            Op::Link(path, target) => tar.hard_link(path, target, &meta(0x20)),
            Op::Whiteout(path) => tar.whiteout(path),
            Op::Opaque(path) => tar.opaque(path),
        };
        written.expect("an entry");
    }
    tar.finish().expect("a tar");
    path
}

pub(crate) fn name() -> impl Strategy<Value = String> {
    let component = prop::sample::select(vec!["a", "b", "c", "B"]);
    let volume = prop_oneof![
        4 => Just("Files"),
        1 => Just("UtilityVM/Files"),
    ];
    let names = prop::collection::vec(component, 1..4);
    (volume, names).prop_map(|(volume, names)| format!("{volume}/{}", names.join("/")))
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => name().prop_map(Op::Directory),
        4 => name().prop_map(Op::File),
        1 => name().prop_map(Op::Junction),
        3 => (name(), name()).prop_map(|(path, target)| Op::Link(path, target)),
        2 => name().prop_map(Op::Whiteout),
        1 => name().prop_map(Op::Opaque),
    ]
}

pub(crate) fn layers() -> impl Strategy<Value = Vec<Vec<Op>>> {
    prop::collection::vec(prop::collection::vec(op(), 0..9), 1..5)
}
