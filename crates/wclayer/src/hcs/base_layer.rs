//! A folder of files as a base layer (`makebaselayer`).
//!
//! Windows makes a base layer of a folder with `Files`, and a utility VM of `UtilityVM\Files` when
//! that is there. It copies the registry from five hives in `Files\Windows\System32\config`; those
//! that are missing are made, empty. All is looked at before anything is changed:
//!
//! | found | done |
//! |---|---|
//! | no hive | an empty one is made |
//! | a hive of zero bytes, which Windows Server 2025 refuses | an empty one takes its place |
//! | a hive with a valid header, or one that only its log completes | kept; the reference fails |
//! | anything else | an error that names it |
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

/// Where the hives of a base layer are.
const CONFIG: &str = "Files/Windows/System32/config";
/// The hives of a base layer.
const HIVES: [&str; 5] = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"];
/// What every utility VM starts with.
const BOOT_CONFIGURATION: &str = layout::BOOT_FILES[0].0;

/// What was done to make a base layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseLayerSummary {
    /// The hives that were missing.
    pub created_hives: Vec<LayerPath>,
    /// The hives of zero bytes that were replaced.
    pub replaced_hives: Vec<LayerPath>,
    /// The hives that were there and stayed.
    pub kept_hives: Vec<LayerPath>,
    /// Whether it has a utility VM.
    pub has_utility_vm: bool,
}

/// Makes a base layer of a folder with `Files`. Needs the backup and restore privileges.
///
/// # Errors
///
/// [`Error::Layer`] around the reason: [`HcsError::BaseLayer`] for a folder
/// that cannot become one, which is unchanged then; what the service says.
pub fn make_base_layer<V: Volume>(
    host: &HostCompute<V>,
    folder: &Path,
) -> Result<BaseLayerSummary> {
    let made = full_path(folder).and_then(|full| {
        make(host, &full).map_err(|error| explain(host, &full, &ParentChain::none(), None, error))
    });
    made.map_err(|error| error.of_layer("make a base", folder))
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
    // Windows wants these files for itself.
    drop(root);
    host.service.process_base_image(folder)?;
    if summary.has_utility_vm {
        host.service
            .process_utility_image(&folder.join(layout::UTILITY_VM))?;
    }
    Ok(summary)
}

/// Finds out what is to be done, without changing anything.
fn check<R: Root>(root: &R) -> Result<BaseLayerSummary> {
    let files = layout::path(layout::FILES);
    if look(root, &files)?.is_none() {
        return Err(unsuitable(
            root,
            &files,
            "it has to exist, with the files of the layer",
        ));
    }
    let config = layout::path(CONFIG);
    for directory in config.ancestors() {
        match look(root, &directory)? {
            // Then nothing below it exists either.
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

/// What is where a hive should be.
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

/// Checks the utility VM, and returns whether there is one; `UtilityVM` without `Files` is none.
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
            "a utility VM must have this file",
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

/// Writes an empty hive into a file without content.
fn write_empty<F: File>(file: io::Result<F>, path: &LayerPath) -> io::Result<()> {
    let mut file = file?;
    let name = wide::display(path.file_name());
    file.write_all(&hive::empty(&name))?;
    file.close()
}

/// Returns what is at a path; below something that is missing, nothing is.
fn look<R: Root>(root: &R, path: &LayerPath) -> Result<Option<Stat>> {
    root.look(path)
        .map_err(entry_error("open", root.path(), path))
}

fn is_regular(stat: &Stat) -> bool {
    !stat.is_directory() && !stat.is_reparse_point()
}

fn require<R: Root>(root: &R, path: &LayerPath, is_so: bool, what: &str) -> Result<()> {
    match is_so {
        true => Ok(()),
        false => Err(unsuitable(root, path, &format!("it has to be {what}"))),
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
