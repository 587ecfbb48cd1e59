//! [`ParentFiles`]: what a writer must know of the layers below the one it makes.
//!
//! Opaque directories become removals of what the parents have there, and a link to a file that
//! only a parent has becomes a copy. Parents are portable layers or transport folders.

use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use ntmeta::FileAttributes;

use super::error::TransportError;
use super::reader::TransportReader;
use crate::chain::ParentChain;
use crate::error::{Result, io_error};
use crate::hub::{Entry, LayerReader};
use crate::index::{Index, IndexedKind, Lookup};
use crate::path::LayerPath;
use crate::portable::{self, PortableLayer};
use crate::tar::TarLayerReader;
use crate::volume::{Privileges, Root, Volume};

/// What one parent says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentLookup {
    /// It has a directory there that names can lie in.
    Directory,
    /// It has something else there.
    File,
    /// It removes it, or has something in the way: parents below it are not to be seen there.
    Hidden,
    /// It says nothing.
    Unknown,
}

/// One parent of a layer.
pub trait ParentFiles {
    /// Returns what it says about a path.
    ///
    /// # Errors
    ///
    /// When it cannot be read; so for all methods.
    fn look_up(&mut self, path: &LayerPath) -> Result<ParentLookup>;

    /// Returns whether what parents below it have in a directory is not to be seen.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    fn hides_contents(&mut self, directory: &LayerPath) -> Result<bool>;

    /// Lists what it adds directly in a directory.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    fn children(&mut self, directory: &LayerPath) -> Result<Vec<LayerPath>>;

    /// Opens what it has at a path; the first entry of the source is that.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    fn open(&mut self, path: &LayerPath) -> Result<Box<dyn LayerReader + '_>>;
}

/// Opens all parents, nearest first. Of a portable layer, its own parents complete the chain.
///
/// # Errors
///
/// [`TransportError::Parent`] for a folder that is neither kind; what opening them says.
pub fn open_parents<V: Volume>(
    volume: &V,
    given: &ParentChain,
    privileges: &Privileges,
) -> Result<Vec<Box<dyn ParentFiles>>>
where
    V::Root: 'static,
{
    let mut chain: Vec<_> = given.iter_nearest_first().map(Path::to_owned).collect();
    if let [only] = &chain[..]
        && portable::is_layer(only)
    {
        let layer = PortableLayer::open(only)?;
        chain.extend(layer.parents().iter_nearest_first().map(Path::to_owned));
    }
    let open = |path: &Path| -> Result<Box<dyn ParentFiles>> {
        if portable::is_layer(path) {
            let layer = PortableLayer::open(path)?;
            let index = layer.index()?;
            return Ok(Box::new(PortableParent { layer, index }));
        }
        if super::is_layer(path) {
            let reader = super::open(volume, path, privileges)?;
            return Ok(Box::new(TransportParent { reader }));
        }
        let path = path.to_owned();
        Err(TransportError::Parent { path }.into())
    };
    chain.iter().map(|path| open(path)).collect()
}

struct PortableParent {
    layer: PortableLayer,
    index: Index,
}

impl ParentFiles for PortableParent {
    fn look_up(&mut self, path: &LayerPath) -> Result<ParentLookup> {
        Ok(match self.index.look_up(path)? {
            Lookup::Present(entry)
                if entry.kind == IndexedKind::Directory && !entry.is_reparse_point() =>
            {
                ParentLookup::Directory
            }
            Lookup::Present(_) => ParentLookup::File,
            Lookup::Hidden => ParentLookup::Hidden,
            Lookup::Unknown => ParentLookup::Unknown,
        })
    }

    fn hides_contents(&mut self, directory: &LayerPath) -> Result<bool> {
        let here = self.index.find(directory)?;
        let removes = here.iter().any(|entry| !entry.is_added());
        Ok(removes
            || matches!(
                self.look_up(directory)?,
                ParentLookup::File | ParentLookup::Hidden
            ))
    }

    fn children(&mut self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        let children = self.index.children(Some(directory))?;
        let added = children.into_iter().filter(|entry| entry.is_added());
        Ok(added.map(|entry| entry.path).collect())
    }

    fn open(&mut self, path: &LayerPath) -> Result<Box<dyn LayerReader + '_>> {
        let mut path = path.clone();
        // A link may name a link; as many steps as that are no circle.
        for _ in 0..40 {
            let Some(entry) = self.index.find_added(&path)? else {
                break;
            };
            match entry.target {
                Some(target) => path = target,
                None => {
                    let mut tar = self.layer.open_tar()?;
                    tar.seek(SeekFrom::Start(entry.offset))
                        .map_err(io_error("read", self.layer.path()))?;
                    return Ok(Box::new(TarLayerReader::new(BufReader::new(tar))));
                }
            }
        }
        Ok(Box::new(Nothing))
    }
}

struct TransportParent<R: Root> {
    reader: TransportReader<R>,
}

impl<R: Root> ParentFiles for TransportParent<R> {
    fn look_up(&mut self, path: &LayerPath) -> Result<ParentLookup> {
        match self.reader.entry_at(path)? {
            Some(Entry::File(file)) => {
                let attributes = file.basic_info.attributes;
                let is_directory = attributes.contains(FileAttributes::DIRECTORY)
                    && !attributes.contains(FileAttributes::REPARSE_POINT);
                return Ok(match is_directory {
                    true => ParentLookup::Directory,
                    false => ParentLookup::File,
                });
            }
            Some(_) => return Ok(ParentLookup::File),
            None => {}
        }
        let mut above = Some(path.clone());
        while let Some(removed) = above {
            if self.reader.removes(&removed) {
                return Ok(ParentLookup::Hidden);
            }
            above = removed.parent();
        }
        Ok(ParentLookup::Unknown)
    }

    fn hides_contents(&mut self, directory: &LayerPath) -> Result<bool> {
        Ok(matches!(
            self.look_up(directory)?,
            ParentLookup::File | ParentLookup::Hidden
        ) || self.reader.removes(directory))
    }

    fn children(&mut self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        match self.look_up(directory)? {
            ParentLookup::Directory => self.reader.children(directory),
            _ => Ok(Vec::new()),
        }
    }

    fn open(&mut self, path: &LayerPath) -> Result<Box<dyn LayerReader + '_>> {
        let first = self.reader.entry_at(path)?;
        Ok(Box::new(One {
            first,
            reader: &mut self.reader,
        }))
    }
}

/// One entry of a transport folder.
struct One<'a, R: Root> {
    first: Option<Entry>,
    reader: &'a mut TransportReader<R>,
}

impl<R: Root> LayerReader for One<'_, R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        Ok(self.first.take())
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.reader.read_stream(buffer)
    }
}

/// No entry.
struct Nothing;

impl LayerReader for Nothing {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        Ok(None)
    }

    fn read_stream(&mut self, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}
