//! [`verify`]: reads everything that a portable layer is, and says what of it is not right.
//!
//! The tar is hashed and read into an index of its own; that is compared row by row with the one
//! that the layer has. Each file is checked by itself, so that all that is wrong is said at once.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::descriptor::{self, LayerDescriptor};
use super::layer::{PortableLayer, check_stored};
use super::{DESCRIPTOR_FILE, INDEX_FILE, TAR_FILE, parents};
use crate::digest::{DiffId, Hashing};
use crate::error::PortableError;
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::index::{Index, IndexBuilder, Scanned, scan, store_block_sums};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::pipeline::Summing;
use crate::pipeline::{Counting, ReadAhead};

/// A part of a layer that was checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Check {
    /// The file, or `parents`.
    pub part: &'static str,
    /// What it was compared with.
    pub against: &'static str,
    /// Why it is not right, or could not be checked.
    pub problems: Vec<Error>,
}

/// What was found out about a layer.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// What was checked.
    pub checks: Vec<Check>,
    /// The DiffID of the tar, where that could be read.
    pub diff_id: Option<DiffId>,
}

impl Verified {
    /// Returns whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.problems.is_empty())
    }

    fn check(&mut self, part: &'static str, against: &'static str, problems: Vec<Error>) {
        self.checks.push(Check {
            part,
            against,
            problems,
        });
    }
}

/// Reads all of a portable layer. `given` are its parents where they are not where it has them.
///
/// # Errors
///
/// [`Error::Layer`] when the folder is not a portable layer, not even a damaged one, or when there
/// is no room for a second index; [`Error::Cancelled`]. What is wrong with the layer is in the
/// result.
pub fn verify(
    layer: impl AsRef<Path>,
    given: &ParentChain,
    progress: &dyn Progress,
) -> Result<Verified> {
    let layer = layer.as_ref();
    verify_layer(layer, given, progress).map_err(|error| error.of_layer("verify", layer))
}

fn verify_layer(layer: &Path, given: &ParentChain, progress: &dyn Progress) -> Result<Verified> {
    // What has one of the two is a damaged layer.
    if !layer.join(DESCRIPTOR_FILE).is_file() && !layer.join(TAR_FILE).is_file() {
        return Err(descriptor::not_a_layer(layer, DESCRIPTOR_FILE));
    }
    let mut found = Verified::default();
    let (descriptor, problem) = match LayerDescriptor::read(layer) {
        Ok(descriptor) => (Some(descriptor), None),
        Err(error) => (None, Some(error)),
    };
    // Version 1 has no digests.
    let is_old = descriptor
        .as_ref()
        .is_some_and(|found| found.bound.is_none());
    let against = if is_old { "its form" } else { "its own digest" };
    found.check(DESCRIPTOR_FILE, against, problem.into_iter().collect());
    let temporary = tempfile::Builder::new().prefix("wclayer-verify-").tempdir();
    let temporary = temporary.map_err(io_error("create a folder in", &std::env::temp_dir()))?;
    let fresh = verify_tar(
        layer,
        descriptor.as_ref(),
        temporary.path(),
        &mut found,
        progress,
    )?;
    verify_index(layer, descriptor.as_ref(), fresh, &mut found)?;
    if let Some(descriptor) = &descriptor {
        verify_chain(layer, descriptor, given, &mut found);
    }
    Ok(found)
}

/// Hashes the tar, and makes its index anew.
fn verify_tar(
    layer: &Path,
    descriptor: Option<&LayerDescriptor>,
    temporary: &Path,
    found: &mut Verified,
    progress: &dyn Progress,
) -> Result<Option<Index>> {
    let index_path = temporary.join(INDEX_FILE);
    let read = match read_tar(&layer.join(TAR_FILE), &index_path, progress) {
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        read => read,
    };
    let against = "the DiffID, the size and the counts of layer.json";
    let (tar, error) = match read {
        Ok(tar) => (Some(tar), None),
        Err(error) => (None, Some(error)),
    };
    let mut problems: Vec<Error> = error.into_iter().collect();
    let mut index = None;
    if let Some(tar) = tar {
        found.diff_id = Some(tar.diff_id);
        if let Some(descriptor) = descriptor {
            compare_tar(layer, descriptor, &tar, &mut problems);
        }
        drop(tar.index);
        store_block_sums(&index_path, &tar.sums)?;
        index = Some(Index::open(&index_path)?);
    }
    found.check(TAR_FILE, against, problems);
    Ok(index)
}

fn compare_tar(
    layer: &Path,
    descriptor: &LayerDescriptor,
    tar: &ReadTar,
    problems: &mut Vec<Error>,
) {
    let (expected, found) = (descriptor.tar_size, tar.size);
    if expected != found {
        let path = layer.join(TAR_FILE);
        problems.push(
            PortableError::TarSize {
                path,
                expected,
                found,
            }
            .into(),
        );
    }
    let same = check_stored(descriptor.diff_id, tar.diff_id);
    problems.extend(same.err());
    let bound = descriptor.bound.as_ref();
    let has_orphans = tar.index.has_orphans();
    let implied = |has: bool| bound.is_none_or(|bound| bound.implied_directories == has);
    let counted = descriptor.entries == tar.scanned.counts
        && descriptor.content_size == tar.scanned.content_size
        && has_orphans.is_ok_and(implied);
    if !counted && problems.is_empty() {
        problems.push(super::descriptor::damaged(layer, DESCRIPTOR_FILE).into());
    }
}

/// A tar that was read.
pub(super) struct ReadTar {
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
    pub(super) sums: Vec<u64>,
    pub(super) scanned: Scanned,
    pub(super) index: Index,
}

/// Reads a tar to its end: hashes it and writes its index, without the sums.
pub(super) fn read_tar(tar: &Path, index: &Path, progress: &dyn Progress) -> Result<ReadTar> {
    // A pipe could be waited for without end.
    let metadata = fs::metadata(tar).map_err(io_error("open", tar))?;
    if !metadata.is_file() {
        return Err(PortableError::ForeignFile {
            path: tar.to_owned(),
        }
        .into());
    }
    let file = File::open(tar).map_err(io_error("open", tar))?;
    let counter = Arc::new(AtomicU64::new(0));
    let file = Summing::new(Counting::new(file, Arc::clone(&counter)));
    let file = Hashing::new(file);
    let mut input = ReadAhead::start(move || Ok(file), counter, None, progress)?;
    let read = match scan(&mut input, IndexBuilder::create(index)?, progress) {
        Ok(read) => input.finish().map(|tar| (read, tar)),
        Err(error) => {
            input.abandon();
            Err(error)
        }
    };
    let ((scanned, index), tar) = read?;
    let (sums, digest, size) = tar.finish();
    Ok(ReadTar {
        diff_id: DiffId::of_tar(digest),
        size,
        sums: sums.finish(),
        scanned,
        index,
    })
}

fn verify_index(
    layer: &Path,
    descriptor: Option<&LayerDescriptor>,
    fresh: Option<Index>,
    found: &mut Verified,
) -> Result<()> {
    let path = layer.join(INDEX_FILE);
    let bound = descriptor.and_then(|descriptor| descriptor.bound.as_ref());
    let is_there = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
    let opened = match (descriptor, is_there) {
        (_, false) => Err(PortableError::NotALayer {
            path: layer.to_owned(),
            missing: INDEX_FILE,
        }
        .into()),
        (None, true) => Index::open(&path),
        (Some(descriptor), true) => {
            Index::open_of_layer(&path, descriptor.version, bound.map(|bound| &bound.index))
        }
    };
    let problem = match (opened, fresh) {
        (Err(error), _) => Some(error),
        (Ok(_), None) => None,
        (Ok(index), Some(fresh)) => index.differs_from(&fresh).err(),
    };
    let against = match bound.is_some() {
        true => "its hash in layer.json and a new index of layer.tar",
        false => "a new index of layer.tar",
    };
    found.check(INDEX_FILE, against, problem.into_iter().collect());
    Ok(())
}

fn verify_chain(
    layer: &Path,
    descriptor: &LayerDescriptor,
    given: &ParentChain,
    found: &mut Verified,
) {
    let stored = parents::stored(layer, descriptor);
    let against = match descriptor.bound.is_some() {
        true => "its digest in layer.json",
        false => "its form",
    };
    found.check(
        layout::LAYER_CHAIN,
        against,
        stored.err().into_iter().collect(),
    );
    let problems = match PortableLayer::open(layer) {
        // Said above.
        Err(_) => return,
        Ok(layer) => layer.parents_given(given).err(),
    };
    let against = match descriptor.bound.is_some() {
        true => "their DiffIDs in layer.json",
        false => "their being there",
    };
    found.check("parents", against, problems.into_iter().collect());
}
