//! [`Kind`]: everything that a path given for a layer can turn out to be.
//!
//! The names only. Which path is of which kind is decided in
//! [`source::recognise`](crate::source::recognise), and nowhere else.

use std::fmt;

use crate::compression::Compression;

/// What is at a path that somebody gives for a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A portable layer, of any version. Whether it is intact shows when it is opened.
    Portable,
    /// The remains of a portable layer whose descriptor is missing or damaged.
    DamagedPortable,
    /// A transport folder.
    Transport,
    /// A layer folder that the Host Compute Service manages.
    Windows(WindowsLayerKind),
    /// A file: a layer tar, compressed as its first bytes show. Whether it is a tar at all shows
    /// when it is read.
    Tar(Compression),
    /// Neither a file nor a folder: a pipe or a device. It can be read once.
    Special,
    /// A folder with nothing in it.
    EmptyFolder,
    /// A tar of an OCI image layout.
    OciArchive,
    /// A tar that `docker save` wrote.
    DockerArchive,
    /// An OCI image layout, whose blobs are layers.
    ImageLayout,
    /// An unpacked `docker save` archive, which holds layers.
    ImageArchive,
    /// A folder whose `layer.json` describes another format.
    ForeignDescriptor,
    /// Any other folder.
    Folder,
    /// A symbolic link that leads nowhere.
    BrokenLink,
    /// Nothing.
    Missing,
}

/// The kinds of Windows layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowsLayerKind {
    /// A layer without parents.
    Base,
    /// A read-only layer on top of others.
    Layer,
    /// The writable layer of a container.
    Scratch,
    /// A read-only layer that does not record whether it has parents.
    Unknown,
}

impl Kind {
    /// Returns whether this is a layer, even if it is damaged or can be read only once.
    pub fn is_layer(self) -> bool {
        match self {
            Self::Portable
            | Self::DamagedPortable
            | Self::Transport
            | Self::Windows(_)
            | Self::Tar(_)
            | Self::Special => true,
            Self::EmptyFolder
            | Self::OciArchive
            | Self::DockerArchive
            | Self::ImageLayout
            | Self::ImageArchive
            | Self::ForeignDescriptor
            | Self::Folder
            | Self::BrokenLink
            | Self::Missing => false,
        }
    }

    /// Returns whether this is an image, whose layers can be read where they are.
    pub fn is_image(self) -> bool {
        matches!(
            self,
            Self::ImageLayout | Self::OciArchive | Self::DockerArchive
        )
    }

    /// Returns whether this is a portable layer, intact or not.
    pub fn is_portable(self) -> bool {
        matches!(self, Self::Portable | Self::DamagedPortable)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "a portable layer",
            Self::DamagedPortable => "a damaged portable layer",
            Self::Transport => "a transport folder",
            Self::Windows(kind) => return kind.fmt(f),
            Self::Tar(Compression::None) => "a file",
            Self::Tar(Compression::Gzip) => "a gzip file",
            Self::Tar(Compression::Zstd) => "a zstd file",
            Self::Special => "a pipe or a device",
            Self::EmptyFolder => "an empty folder",
            Self::OciArchive => "an OCI image archive",
            Self::DockerArchive => "an image archive of `docker save`",
            Self::ImageLayout => "an OCI image layout",
            Self::ImageArchive => "an unpacked image archive",
            Self::ForeignDescriptor => "a folder whose `layer.json` was not written by wclayer",
            Self::Folder => "an ordinary folder",
            Self::BrokenLink => "a symbolic link that leads nowhere",
            Self::Missing => "nothing",
        })
    }
}

impl fmt::Display for WindowsLayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "a Windows base layer",
            Self::Layer | Self::Unknown => "a Windows layer",
            Self::Scratch => "a Windows scratch layer",
        })
    }
}

/// What an operation needs a layer to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needed {
    /// A layer whose entries can be read in any order: a portable layer, a transport folder or a
    /// layer tar.
    View,
    /// A portable layer.
    Portable,
    /// A Windows layer.
    Windows,
    /// A layer tar.
    Tar,
    /// A layer that is a folder.
    Folder,
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "which cannot be read in place",
            Self::Portable => "not a portable layer",
            Self::Windows => "not a Windows layer",
            Self::Tar => "not a layer tar",
            Self::Folder => "not the folder of a layer",
        })
    }
}
