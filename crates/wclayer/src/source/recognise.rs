//! What kind of thing a path is: the one decision that every command relies on.
//!
//! [`recognise`] asks these questions in this order; the first that is answered with yes decides.
//!
//! | Question | [`Kind`] |
//! |---|---|
//! | Is nothing there? | `Missing` |
//! | Is it a symbolic link to something that does not exist? | `BrokenLink` |
//! | Is it a file? | `Tar`, compressed as its first four bytes show |
//! | Is it something other than a folder? | `Special`; it is not opened, as its bytes come only once |
//! | Does `layer.json` name the format `wclayer.portable`, in any version? | `Portable` |
//! | Does it have `layer.tar` and an index with our mark? Or a broken `layer.json` beside `layer.tar` or an index, and nothing but our files? | `DamagedPortable` |
//! | Does it have `sandbox.vhdx`? | `Windows`: a scratch layer |
//! | Is there a mark beside it that an import or a removal by the Host Compute Service was interrupted? | `Windows` |
//! | Does it have `Files`, and one of `Hives`, `layerchain.json`, `blank-base.vhdx` and `UtilityVM/Files`, but neither `tombstones.txt` nor `Files.$wcidirs$`? | `Windows` |
//! | Does it have `Files`, and a `tombstones.txt` that starts with `Version 1.0`? | `Transport` |
//! | Is it empty? | `EmptyFolder` |
//! | Does it have `oci-layout`, or `index.json` and `blobs`? | `ImageLayout` |
//! | Does it have `manifest.json`? | `ImageArchive` |
//! | Does it have `layer.json`? | `ForeignDescriptor` |
//! | | `Folder` |
//!
//! A Windows layer is a base layer if its `layerchain.json` holds `null` or an empty list, or if it
//! has no such file but a `blank-base.vhdx`; a layer if the file lists parents; otherwise nobody
//! knows which of the two.
//!
//! Links are followed to the path itself, never inside of it: what makes a folder a transport
//! folder or a Windows layer is real files and folders. A file need not be a layer tar; reading it
//! reports what else it is ([`Foreign`](crate::foreign::Foreign)). Nothing here needs a privilege.
//!
//! Sources: hcsshim `internal/wclayer`; image-spec `image-layout.md`; `docker save` for
//! `manifest.json`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{Disks, LayerRef};
use crate::compression::Compression;
use crate::digest::DiffId;
use crate::error::{Error, Result, io_error};
use crate::hcs::{self, WindowsLayer};
use crate::kind::{Kind, Needed, WindowsLayerKind};
use crate::place::{self, disk};
use crate::portable::PortableLayer;

/// Something that was named as a layer, and what it is.
///
/// ```no_run
/// use wclayer::source::{Kind, recognise};
///
/// let layer = recognise("layers/base")?;
/// if layer.kind() == Kind::Portable {
///     println!("{layer} has {} parents", layer.stored_parents()?.len());
/// }
/// # Ok::<(), wclayer::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Layer {
    label: String,
    path: PathBuf,
    kind: Kind,
    is_link: bool,
}

/// Finds out what a reference leads to. That nothing is there, or nothing that is a layer, is an
/// answer too; [`Layer::check`] makes it an error.
///
/// # Errors
///
/// Returns [`Error::Io`] if it cannot be looked at.
pub fn recognise(layer: impl Into<LayerRef>) -> Result<Layer> {
    let reference = layer.into();
    let label = reference.to_string();
    let LayerRef::Path(path) = reference;
    // Without separators at its end, which would make the system follow a link.
    let itself = path.components().as_path();
    let is_link = fs::symlink_metadata(itself).is_ok_and(|found| found.is_symlink());
    let (kind, path) = kind_of(path, is_link)?;
    Ok(Layer {
        label,
        path,
        kind,
        is_link,
    })
}

impl Layer {
    /// Returns what the user named: the layer's name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the path to read: the one that was named, or the folder that a link led to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether a symbolic link was named. Reading follows it; nothing that changes or
    /// removes a layer does.
    pub fn is_link(&self) -> bool {
        self.is_link
    }

    /// Checks that it is a layer of some kind.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotFound`] or [`Error::NotALayer`] if it is not.
    pub fn check(&self) -> Result<()> {
        let name = || self.label.clone();
        match self.kind {
            Kind::Missing => Err(Error::NotFound { name: name() }),
            kind if !kind.is_layer() => Err(Error::NotALayer { name: name(), kind }),
            _ => Ok(()),
        }
    }

    /// Returns the error for an operation that cannot work on this kind.
    pub fn refuse(&self, needed: Needed) -> Error {
        let error = || Error::WrongKind {
            layer: self.label.clone(),
            kind: self.kind,
            needed,
        };
        self.check().err().unwrap_or_else(error)
    }

    /// Opens it as a portable layer.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongKind`] if it is another kind of layer, and the errors of
    /// [`PortableLayer::open`] and [`check`](Self::check).
    pub fn portable(&self) -> Result<PortableLayer> {
        match self.kind.is_portable() {
            true => PortableLayer::open(&self.path),
            false => Err(self.refuse(Needed::Portable)),
        }
    }

    /// Looks at it as a Windows layer.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongKind`] if it is another kind of layer, and the errors of
    /// [`hcs::recognise`] and [`check`](Self::check).
    pub fn windows(&self) -> Result<WindowsLayer> {
        let found = match self.kind {
            Kind::Windows(_) => hcs::recognise(&Disks::new(), &self.path)?,
            _ => None,
        };
        found.ok_or_else(|| self.refuse(Needed::Windows))
    }

    /// Returns the DiffID, where the layer has it stored; `None` where its tar would have to be
    /// read.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`PortableLayer::open`] for a portable layer.
    pub fn diff_id(&self) -> Result<Option<DiffId>> {
        match self.kind.is_portable() {
            true => Ok(Some(self.portable()?.descriptor().diff_id)),
            false => Ok(None),
        }
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

/// Decides what is at a path; returns where it is to be read, too.
fn kind_of(path: PathBuf, is_link: bool) -> Result<(Kind, PathBuf)> {
    let found = match fs::metadata(&path) {
        Ok(found) => found,
        Err(error) if is_missing(&error) => {
            let kind = if is_link {
                Kind::BrokenLink
            } else {
                Kind::Missing
            };
            return Ok((kind, path));
        }
        Err(error) => return Err(io_error("open", &path)(error)),
    };
    if found.is_file() {
        return Ok((Kind::Tar(compression_of(&path)?), path));
    }
    if !found.is_dir() {
        return Ok((Kind::Special, path));
    }
    if place::is_portable_layer(&path) {
        return Ok((Kind::Portable, path));
    }
    let path = match is_link {
        true => dunce::canonicalize(&path).map_err(io_error("resolve", &path))?,
        false => path,
    };
    Ok((kind_of_folder(&path)?, path))
}

/// Decides what a folder is that is not a portable layer with a readable descriptor.
fn kind_of_folder(folder: &Path) -> Result<Kind> {
    let has = |name: &str| folder.join(name).exists();
    let names = || disk::names_in(folder, 1).map_err(io_error("list", folder));
    Ok(
        if place::may_be_replaced(folder) && !place::is_transport_folder(folder) {
            Kind::DamagedPortable
        } else if let Some(kind) = windows_kind(folder)? {
            Kind::Windows(kind)
        } else if place::is_transport_folder(folder) {
            Kind::Transport
        } else if names()?.is_empty() {
            Kind::EmptyFolder
        } else if has("oci-layout") || (has("index.json") && has("blobs")) {
            Kind::ImageLayout
        } else if has("manifest.json") {
            Kind::ImageArchive
        } else if place::has_descriptor(folder) {
            Kind::ForeignDescriptor
        } else {
            Kind::Folder
        },
    )
}

/// Returns the kind of a Windows layer; a damaged `layerchain.json` makes it unknown.
fn windows_kind(folder: &Path) -> Result<Option<WindowsLayerKind>> {
    let disks = Disks::new();
    if !hcs::is_layer(&disks, folder)? {
        return Ok(None);
    }
    let found = hcs::recognise(&disks, folder);
    Ok(Some(match found {
        Ok(Some(layer)) => layer.kind,
        Ok(None) | Err(_) => WindowsLayerKind::Unknown,
    }))
}

/// Returns whether an error means that nothing is at a path.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Returns how a file is compressed, by its first bytes.
pub(super) fn compression_of(file: &Path) -> Result<Compression> {
    let mut start = Vec::new();
    let opened = File::open(file).map_err(io_error("open", file))?;
    let read = opened.take(4).read_to_end(&mut start);
    read.map_err(io_error("read", file))?;
    Ok(Compression::sniff(&start))
}
