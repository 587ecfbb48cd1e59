//! A folder of files as a base layer (`makebaselayer`).
//!
//! Windows turns a folder with `Files` into a base layer and, if `UtilityVM\Files` exists, prepares
//! the utility VM. It copies the registry from five hives in `Files\Windows\System32\config`;
//! missing hives are created empty. Everything is checked before anything is changed:
//!
//! | Found | Action |
//! |---|---|
//! | no hive | create an empty one |
//! | a hive of zero bytes, which Windows Server 2025 rejects | replace it with an empty hive |
//! | a hive with a valid header, or one that its log completes | keep it; the reference fails |
//! | anything else | return an error that names it |
//!
//! Source: hcsshim `internal/wclayer/converttobaselayer.go`.

use std::io;
use std::path::{Path, PathBuf};

use ntmeta::hive::{self, HiveError};
use ntmeta::wide;

use super::HostCompute;
use super::diagnose::explain;
use super::full_path::full_path;
use crate::error::HcsError;
use crate::error::Privilege;
use crate::error::{Error, Result, entry_error, io_error};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::path::LayerPath;
use crate::volume::{Access, File, Kind, Root, Stat, Volume};

/// The directory of a base layer's hives.
const CONFIG: &str = "Files/Windows/System32/config";
/// The hives of a base layer.
const HIVES: [&str; 5] = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"];
/// The file that every utility VM boots from.
const BOOT_CONFIGURATION: &str = layout::BOOT_FILES[0].0;

/// The result of [`make_base_layer`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseLayerSummary {
    /// The hives that were missing.
    pub created_hives: Vec<LayerPath>,
    /// The hives of zero bytes that were replaced.
    pub replaced_hives: Vec<LayerPath>,
    /// The existing hives that were kept.
    pub kept_hives: Vec<LayerPath>,
    /// Whether the layer has a utility VM.
    pub has_utility_vm: bool,
}

/// Turns a folder with `Files` into a base layer. Requires the backup and restore privileges.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the reason as its source: [`HcsError::BaseLayer`] if the folder
/// cannot become a base layer, in which case it is unchanged, or the error of the service.
pub fn make_base_layer<V: Volume>(
    host: &HostCompute<V>,
    folder: &Path,
) -> Result<BaseLayerSummary> {
    let made = full_path(folder).and_then(|full| {
        make(host, &full).map_err(|error| explain(host, &full, &ParentChain::none(), None, error))
    });
    made.map_err(|error| error.of_layer("create base", folder))
}

fn make<V: Volume>(host: &HostCompute<V>, folder: &Path) -> Result<BaseLayerSummary> {
    let privileges = host
        .volume
        .enable(&[Privilege::Backup, Privilege::Restore])?;
    let root = host
        .volume
        .open_root(folder, &privileges)
        .map_err(io_error("open", folder))?;
    let summary = check(&root)?;
    make_directories(&root)?;
    for hive in &summary.created_hives {
        let file = root.create(hive, Kind::File);
        write_empty(file, hive).map_err(entry_error("create", folder, hive))?;
    }
    for hive in &summary.replaced_hives {
        let file = root.open(Some(hive), Access::Write);
        write_empty(file, hive).map_err(entry_error("replace", folder, hive))?;
    }
    // Windows needs exclusive access to these files.
    drop(root);
    host.service.process_base_image(folder)?;
    if summary.has_utility_vm {
        host.service
            .process_utility_image(&folder.join(layout::UTILITY_VM))?;
    }
    Ok(summary)
}

/// Determines the necessary steps without changing anything.
fn check<R: Root>(root: &R) -> Result<BaseLayerSummary> {
    let files = layout::path(layout::FILES);
    if look(root, &files)?.is_none() {
        return Err(unsuitable(
            root,
            &files,
            "it must exist and contain the files of the layer",
        ));
    }
    let config = layout::path(CONFIG);
    for directory in config.ancestors() {
        match look(root, &directory)? {
            // Nothing below it exists either.
            None => break,
            Some(stat) => require(root, &directory, stat.is_plain_directory(), "a directory")?,
        }
    }
    let mut summary = BaseLayerSummary::default();
    for name in HIVES {
        let path = layout::path(&format!("{CONFIG}/{name}"));
        match check_hive(root, &path)? {
            Found::Nothing => summary.created_hives.push(path),
            Found::ZeroBytes => summary.replaced_hives.push(path),
            Found::Valid => summary.kept_hives.push(path),
        }
    }
    summary.has_utility_vm = check_utility_vm(root)?;
    Ok(summary)
}

/// What exists at the path of a hive.
enum Found {
    Nothing,
    ZeroBytes,
    Valid,
}

fn check_hive<R: Root>(root: &R, path: &LayerPath) -> Result<Found> {
    let Some(stat) = look(root, path)? else {
        return Ok(Found::Nothing);
    };
    require(root, path, is_regular(&stat), "a regular file")?;
    if stat.size == 0 {
        return Ok(Found::ZeroBytes);
    }
    let header = read_header(root, path).map_err(entry_error("read", root.path(), path))?;
    match hive::check(&header, stat.size) {
        // Windows completes it from its log.
        Ok(()) | Err(HiveError::Unfinished { .. }) => Ok(Found::Valid),
        Err(error) => Err(unsuitable(root, path, &error.to_string())),
    }
}

fn read_header<R: Root>(root: &R, path: &LayerPath) -> io::Result<Vec<u8>> {
    let mut file = root.open(Some(path), Access::Read)?;
    let mut header = vec![0; hive::BASE_BLOCK_SIZE];
    let mut filled = 0;
    while filled < header.len() {
        match file.read(&mut header[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    header.truncate(filled);
    Ok(header)
}

/// Checks the utility VM and returns whether there is one; `UtilityVM` without `Files` does not
/// count.
fn check_utility_vm<R: Root>(root: &R) -> Result<bool> {
    for name in [layout::UTILITY_VM, layout::UTILITY_VM_FILES] {
        let path = layout::path(name);
        match look(root, &path)? {
            None => return Ok(false),
            Some(stat) => require(root, &path, stat.is_plain_directory(), "a directory")?,
        }
    }
    let boot_configuration = layout::path(BOOT_CONFIGURATION);
    for directory in boot_configuration.ancestors() {
        match look(root, &directory)? {
            None => break,
            Some(stat) => require(root, &directory, stat.is_plain_directory(), "a directory")?,
        }
    }
    match look(root, &boot_configuration)? {
        None => Err(unsuitable(
            root,
            &boot_configuration,
            "a utility VM requires this file",
        )),
        Some(stat) => {
            require(
                root,
                &boot_configuration,
                is_regular(&stat),
                "a regular file",
            )?;
            Ok(true)
        }
    }
}

fn make_directories<R: Root>(root: &R) -> Result<()> {
    let config = layout::path(CONFIG);
    for directory in config.ancestors().into_iter().chain([config.clone()]) {
        if look(root, &directory)?.is_none() {
            root.create(&directory, Kind::Directory)
                .and_then(File::close)
                .map_err(entry_error("create", root.path(), &directory))?;
        }
    }
    Ok(())
}

/// Writes an empty hive into an empty file.
fn write_empty<F: File>(file: io::Result<F>, path: &LayerPath) -> io::Result<()> {
    let mut file = file?;
    let name = wide::display(path.file_name());
    file.write_all(&hive::empty(&name))?;
    file.close()
}

/// Returns the metadata of a path; `None` if the path or a directory above it does not exist.
fn look<R: Root>(root: &R, path: &LayerPath) -> Result<Option<Stat>> {
    root.look(path)
        .map_err(entry_error("open", root.path(), path))
}

fn is_regular(stat: &Stat) -> bool {
    !stat.is_directory() && !stat.is_reparse_point()
}

fn require<R: Root>(root: &R, path: &LayerPath, holds: bool, what: &str) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(unsuitable(root, path, &format!("it must be {what}"))),
    }
}

fn unsuitable<R: Root>(root: &R, path: &LayerPath, why: &str) -> Error {
    let components = path
        .components()
        .map(|name| wide::display(name).into_owned());
    HcsError::BaseLayer {
        path: root.path().join(components.collect::<PathBuf>()),
        why: why.to_owned(),
    }
    .into()
}
