//! What kind of thing a path is: the one decision that every command relies on.
//!
//! [`recognise`] asks these questions in this order; the first that is answered with yes decides.
//!
//! | Question | [`Kind`] |
//! |---|---|
//! | Is nothing there? | `Missing` |
//! | Is it a symbolic link to something that does not exist? | `BrokenLink` |
//! | Is it an uncompressed tar of an OCI image layout, or one with a `manifest.json`? | `OciArchive`, `DockerArchive` |
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
//! A reference with the transport of an image is an image, whatever is at its path.
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

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::tar_blob::{TarBlob, compression_of};
use super::{Disks, LayerRef};
use crate::compression::Compression;
use crate::digest::DiffId;
use crate::error::{Error, ImageError, Result, io_error};
use crate::hcs::{self, WindowsLayer};
use crate::image::{self, ImageLayer, ImageReference};
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
    image: Option<OfImage>,
}

/// How a layer has to do with an image.
#[derive(Debug, Clone)]
enum OfImage {
    /// It is one, named with its transport.
    Named(ImageReference),
    /// It is a layer of one.
    Layer(Box<ImageLayer>),
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
    let path = match reference {
        LayerRef::Path(path) => path,
        LayerRef::Image(image) => return named_image(image, label),
        LayerRef::Malformed { text, problem } => {
            let label = format!("the image reference `{text}`");
            return Err(ImageError::malformed(&label, problem).into());
        }
    };
    // Without separators at its end, which would make the system follow a link.
    let itself = path.components().as_path();
    let is_link = fs::symlink_metadata(itself).is_ok_and(|found| found.is_symlink());
    let (kind, path) = kind_of(path, is_link)?;
    Ok(Layer {
        label,
        path,
        kind,
        is_link,
        image: None,
    })
}

/// Answers for an image that was named with its transport.
fn named_image(image: ImageReference, label: String) -> Result<Layer> {
    let (kind, path) = match &image {
        ImageReference::Layout { folder, .. } => (Kind::ImageLayout, folder.clone()),
        ImageReference::OciArchive { file, .. } => (Kind::OciArchive, file.clone()),
        ImageReference::DockerArchive { file, .. } => (Kind::DockerArchive, file.clone()),
        ImageReference::Registry(_) => return Err(ImageError::NoRegistry { label }.into()),
    };
    Ok(Layer {
        label,
        path,
        kind,
        is_link: false,
        image: Some(OfImage::Named(image)),
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

    /// Makes layer `number` of an image, counted from the top.
    pub(super) fn of_image(image: &Self, number: usize, layer: &ImageLayer) -> Result<Self> {
        let label = format!("{}, layer {number}", image.label);
        let compression = match layer.blob() {
            Ok(blob) => compression_of(blob).map_err(io_error("read", Path::new(&label)))?,
            // Opening the layer reports where it is instead.
            Err(_) => Compression::None,
        };
        Ok(Self {
            label,
            path: image.path.clone(),
            kind: Kind::Tar(compression),
            is_link: false,
            image: Some(OfImage::Layer(Box::new(layer.clone()))),
        })
    }

    /// Returns the image that it is, if it is one.
    pub fn image(&self) -> Option<ImageReference> {
        if let Some(OfImage::Named(image)) = &self.image {
            return Some(image.clone());
        }
        let (path, name) = (self.path.clone(), None);
        match self.kind {
            Kind::ImageLayout => Some(ImageReference::Layout { folder: path, name }),
            Kind::OciArchive => Some(ImageReference::OciArchive { file: path, name }),
            Kind::DockerArchive => Some(ImageReference::DockerArchive { file: path, name }),
            _ => None,
        }
    }

    /// Returns the layer of an image that it is, if it is one.
    pub fn image_layer(&self) -> Option<&ImageLayer> {
        match &self.image {
            Some(OfImage::Layer(layer)) => Some(layer),
            _ => None,
        }
    }

    /// Opens its layer tar.
    pub(super) fn tar(&self) -> Result<TarBlob> {
        match self.image_layer() {
            Some(layer) => TarBlob::of_image(&self.label, layer),
            None => TarBlob::open(&self.path),
        }
    }

    /// Returns the size of its layer tar in bytes; `None` if it is not one.
    pub(super) fn tar_size(&self) -> Option<u64> {
        match (self.kind, self.image_layer()) {
            (Kind::Tar(_), Some(layer)) => Some(layer.size),
            (Kind::Tar(_), None) => self.path.metadata().ok().map(|tar| tar.len()),
            _ => None,
        }
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
        match (self.kind.is_portable(), self.image_layer()) {
            (true, _) => Ok(Some(self.portable()?.descriptor().diff_id)),
            (false, layer) => Ok(layer.map(|layer| layer.diff_id)),
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
        return Ok((kind_of_file(&path)?, path));
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

/// Decides what a file is.
fn kind_of_file(path: &Path) -> Result<Kind> {
    let compression = TarBlob::open(path)?.compression()?;
    if compression == Compression::None {
        match image::recognise(path, &())? {
            Some(ImageReference::OciArchive { .. }) => return Ok(Kind::OciArchive),
            Some(ImageReference::DockerArchive { .. }) => return Ok(Kind::DockerArchive),
            _ => {}
        }
    }
    Ok(Kind::Tar(compression))
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
