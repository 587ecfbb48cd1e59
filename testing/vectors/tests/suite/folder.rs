//! Folders as listed in the vectors, on an in-memory Windows.

use std::path::Path;

use fakewindows::FakeWindows;
use serde::Deserialize;
use vectors::Check;
use vectors::blob::Blob;
use wclayer::LayerPath;

use crate::import::BasicInfo;

/// A file or directory of a folder.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) dir: bool,
    pub(crate) content: Option<Blob>,
    basic_info: Option<BasicInfo>,
}

impl Item {
    /// The path below the folder.
    pub(crate) fn path(&self) -> Check<LayerPath> {
        let path = LayerPath::parse(self.path.as_bytes());
        path.map_err(|error| format!("the vector's path {}: {error}", self.path))
    }
}

/// Puts items and their additional names into a folder.
pub(crate) fn plant(
    windows: &FakeWindows,
    folder: &str,
    items: &[Item],
    hard_links: &[(String, String)],
) -> Check {
    let place = |name: &str| Path::new(folder).join(name.replace('\\', "/"));
    windows.folder(folder);
    for item in items {
        let Some(content) = item.content.as_ref().filter(|_| !item.dir) else {
            windows.folder(place(&item.path));
            continue;
        };
        let bytes = content
            .bytes()?
            .ok_or("the vector's content is not given")?;
        windows.file(place(&item.path), &bytes);
    }
    for (existing, new) in hard_links {
        windows.hard_link(place(existing), place(new));
    }
    // Last, because creating entries in a directory changes its times.
    for item in items {
        if let Some(info) = item.basic_info {
            windows.set_info(place(&item.path), &info.into());
        }
    }
    Ok(())
}
