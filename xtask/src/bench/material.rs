//! The measured layers: one that resembles Windows, one of many small files, a chain of ten.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use layergen::{Meta, Rng, TarBuilder, UNIX_EPOCH};

use super::{Options, Size};
use crate::{Result, measure};

/// The number of layers in the chain.
pub(super) const LAYERS: u32 = 10;
/// The number of files per directory, in the layer of small files and in the chain.
const FILES_A_DIRECTORY: u32 = 100;
/// `FILE_ATTRIBUTE_DIRECTORY` and `FILE_ATTRIBUTE_ARCHIVE`.
const DIRECTORY: u32 = 0x10;
const ARCHIVE: u32 = 0x20;
/// 2024-05-08 00:00:00 UTC.
const TIME: u64 = UNIX_EPOCH + 1_715_126_400 * 10_000_000;

/// The measured layers.
pub(super) struct Material {
    pub(super) tar: PathBuf,
    pub(super) blob: PathBuf,
    pub(super) tar_size: u64,
    pub(super) blob_size: u64,
    /// The first tar as a portable layer.
    pub(super) imported: PathBuf,
    /// A tar of many small files.
    pub(super) many: PathBuf,
    /// Its gzip form.
    pub(super) many_blob: PathBuf,
    /// The path of its last file.
    pub(super) last: PathBuf,
    pub(super) many_size: u64,
    /// The nearest layer of the chain.
    pub(super) chain: PathBuf,
}

impl Size {
    /// Returns the number of small files, and the number of files in each layer of the chain.
    pub(super) fn small_files(self) -> u32 {
        match self {
            Self::Small => 2_000,
            Self::Medium | Self::Large => 20_000,
        }
    }
}

impl Material {
    /// Generates everything; afterwards, the tars are in the page cache.
    pub(super) fn make(options: &Options, wclayer: &Path, folder: &Path) -> Result<Self> {
        let (tar, blob) = (folder.join("layer.tar"), folder.join("layer.tar.gz"));
        make_tar(options, &tar)?;
        compress(&tar, &blob)?;
        let imported = folder.join("imported");
        import(wclayer, &blob, None, &imported)?;
        let many = folder.join("many.tar");
        let files = options.profile.small_files();
        small_files(&many, files, |number, rng| {
            (format!("{number}.dll"), 1024 + rng.below(15 * 1024 + 1))
        })?;
        let many_blob = folder.join("many.tar.gz");
        compress(&many, &many_blob)?;
        let last = files - 1;
        Ok(Self {
            last: format!("Files/{}/{last}.dll", last / FILES_A_DIRECTORY).into(),
            many_blob,
            tar_size: fs::metadata(&tar)?.len(),
            blob_size: fs::metadata(&blob)?.len(),
            many_size: fs::metadata(&many)?.len(),
            chain: make_chain(files, wclayer, folder)?,
            tar,
            blob,
            imported,
            many,
        })
    }
}

fn make_tar(options: &Options, tar: &Path) -> Result {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(tar)?);
    match &options.input {
        Some(input) if input.is_dir() => {
            layergen::wrap_tree(input, "Files/Windows/System32", &mut out)?;
        }
        Some(input) => unpack(input, &mut out)?,
        None => {
            layergen::generate(options.seed, options.profile.into(), &mut out)?;
        }
    }
    out.into_inner()?.sync_all()?;
    Ok(())
}

/// Writes the gzip form of a tar.
fn compress(tar: &Path, blob: &Path) -> Result {
    let out = BufWriter::with_capacity(1 << 20, File::create(blob)?);
    let mut encoder = GzEncoder::new(out, Compression::new(6));
    io::copy(&mut File::open(tar)?, &mut encoder)?;
    encoder.finish()?.into_inner()?.sync_all()?;
    Ok(())
}

/// Copies a tar, decompressing it if necessary.
fn unpack(input: &Path, out: &mut impl Write) -> Result {
    let mut magic = Vec::new();
    File::open(input)?.take(2).read_to_end(&mut magic)?;
    let mut file = File::open(input)?;
    match magic[..] {
        [0x1F, 0x8B] => io::copy(&mut MultiGzDecoder::new(file), out)?,
        _ => io::copy(&mut file, out)?,
    };
    Ok(())
}

/// Writes a tar with the given number of files below `Files/0`, `Files/1`, …; a callback provides
/// the name and size of each.
fn small_files(
    tar: &Path,
    files: u32,
    mut file: impl FnMut(u32, &mut Rng) -> (String, u64),
) -> Result {
    let mut rng = Rng::new(1);
    let content: Vec<u8> = (0..8192)
        .flat_map(|_| rng.next_u64().to_le_bytes())
        .collect();
    let directory = Meta::with_attributes(DIRECTORY).at(TIME);
    let meta = Meta::with_attributes(ARCHIVE).at(TIME);
    let out = BufWriter::with_capacity(1 << 20, File::create(tar)?);
    let mut builder = TarBuilder::new(out);
    builder.directory("Files", &directory)?;
    for number in 0..files {
        let parent = number / FILES_A_DIRECTORY;
        if number % FILES_A_DIRECTORY == 0 {
            builder.directory(&format!("Files/{parent}"), &directory)?;
        }
        let (name, size) = file(number, &mut rng);
        let start = usize::try_from(rng.below(32 * 1024))?;
        let content = &content[start..start + usize::try_from(size)?];
        builder.file(&format!("Files/{parent}/{name}"), &meta, content)?;
    }
    builder.finish()?.into_inner()?.sync_all()?;
    Ok(())
}

/// Imports layers on top of each other that have the same directories, but each its own files.
fn make_chain(files: u32, wclayer: &Path, folder: &Path) -> Result<PathBuf> {
    let mut parent = None;
    for layer in 0..LAYERS {
        let (tar, imported) = (folder.join("one.tar"), folder.join(format!("chain{layer}")));
        small_files(&tar, files, |number, _| {
            (format!("{layer}-{number}.dll"), 100)
        })?;
        import(wclayer, &tar, parent.as_deref(), &imported)?;
        fs::remove_file(&tar)?;
        parent = Some(imported);
    }
    parent.ok_or_else(|| "a chain has at least one layer".into())
}

fn import(wclayer: &Path, tar: &Path, parent: Option<&Path>, layer: &Path) -> Result {
    let mut command = Command::new(wclayer);
    command.args(["import", "-q", "-i"]).arg(tar).arg(layer);
    if let Some(parent) = parent {
        command.arg("-l").arg(parent);
    }
    measure::run(&mut command, None)?;
    Ok(())
}
