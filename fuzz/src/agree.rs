//! Whether `import`, `validate` and the naive model of the chain tests agree on layers of any bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ntmeta::FileAttributes;
use wclayer::compression::Decoder;
use wclayer::portable::{self, ImportOptions};
use wclayer::rules::Rule;
use wclayer::source;
use wclayer::tar::TarLayerReader;
use wclayer::validate::{Report, Severity, validate_tar};
use wclayer::{Entry, LayerReader, ParentChain};

#[allow(dead_code)]
#[path = "../../crates/wclayer/tests/chain/model.rs"]
mod model;

use model::{ENFORCED, Op, State, apply, broken_op};

/// How many entries the model is asked about: it is not fast, and follows few links.
const MAX_OPS: usize = 90;

/// Puts layers one on top of the other, given base first; one that is refused is left out.
pub fn check(layers: &[PathBuf], folder: &Path) {
    let mut chain: Vec<PathBuf> = Vec::new();
    // `None` once a layer has something that the model does not know.
    let mut below = Some(State::new());
    for tar in layers {
        let number = chain.len();
        let below_all = ParentChain::from_nearest_first(&chain);
        let parents = source::open_parents(&ParentChain::from_nearest_first(&chain), &())
            .expect("they were imported");
        let open = || File::open(tar).expect("it was written");
        let report = validate_tar(open(), parents.as_ref(), 1, &()).expect("it can be read");
        let broken: BTreeSet<_> = report.rules.keys().collect();
        let is_enforced = |rule: &&Rule| ENFORCED.contains(rule);
        let is_broken = broken.iter().copied().any(|rule| is_enforced(&rule));
        let place = folder.join(format!("portable {number}"));
        let options = ImportOptions::default().parents(below_all);
        let imported = portable::import(open(), &place, &options, &());
        match &imported {
            Ok(_) => assert!(report.is_complete && !is_broken, "{broken:?}"),
            Err(error) => assert!(has_error(&report), "{error:?}: {broken:?}"),
        }
        let ops = ops(open());
        if let (Some(state), Some(ops)) = (&below, &ops) {
            let is_legal = broken_op(state, number, ops).is_none();
            assert_eq!(imported.is_ok(), is_legal, "{broken:?} {ops:?}");
        }
        if imported.is_ok() {
            below = below
                .zip(ops)
                .map(|(state, ops)| apply(&state, number, &ops));
            chain.insert(0, place);
        }
    }
}

fn has_error(report: &Report) -> bool {
    report.count(Severity::Error) > 0
}

/// Reads a layer as the model knows it; `None` if it is malformed, or has something that the model
/// does not know.
fn ops(tar: File) -> Option<Vec<Op>> {
    let mut input = BufReader::new(Decoder::new(tar).ok()?);
    let mut reader = TarLayerReader::new(&mut input);
    let mut ops = Vec::new();
    while let Some(entry) = reader.next_entry().ok()? {
        let path = entry.path().to_string();
        let op = match entry {
            Entry::Link(link) if link.target.to_string().is_ascii() => {
                Op::Link(path.clone(), link.target.to_string())
            }
            Entry::Link(_) => return None,
            Entry::Removal(_) => Op::Whiteout(path.clone()),
            Entry::Opaque(_) => Op::Opaque(path.clone()),
            Entry::File(file) => {
                let attributes = file.basic_info.attributes;
                let is_directory = attributes.contains(FileAttributes::DIRECTORY);
                let is_marked = attributes.contains(FileAttributes::REPARSE_POINT);
                match (is_directory, is_marked, has_reparse_point(&mut reader)?) {
                    (true, false, false) => Op::Directory(path.clone()),
                    (true, true, true) => Op::Junction(path.clone()),
                    (false, false, false) => Op::File(path.clone()),
                    _ => return None,
                }
            }
        };
        if !path.is_ascii() || ops.len() == MAX_OPS {
            return None;
        }
        ops.push(op);
    }
    // Damage after the end of the tar is an error of imports as well.
    drop(reader);
    std::io::copy(&mut input, &mut std::io::sink()).ok()?;
    Some(ops)
}

/// Returns whether the backup stream of the current file has a reparse point; `None` if it is
/// malformed.
fn has_reparse_point(reader: &mut impl LayerReader) -> Option<bool> {
    let mut streams = ntmeta::BackupStreamReader::new(Bytes(reader));
    let mut found = false;
    while let Some(header) = streams.next_header().ok()? {
        found |= header.id == ntmeta::StreamId::REPARSE_DATA;
    }
    Some(found)
}

/// The bytes of a backup stream.
struct Bytes<'a, R>(&'a mut R);

impl<R: LayerReader> Read for Bytes<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_stream(buffer).map_err(std::io::Error::other)
    }
}
