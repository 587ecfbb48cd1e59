//! The last steps: hard links, symbolic links, and the times of directories.
//!
//! A symbolic link is created only if it leads to a path in the extracted tree, and its text is
//! rewritten: up to the closest common folder, then down. Links come after everything else, so that
//! nothing is written through one.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions};
use ntmeta::{FileAttributes, FileBasicInfo};

use super::keep::{Keeper, are_held, host_time};
use super::place::{Folder, Ground};
use super::report::{Extracted, Loss, Reason, Why};
use super::stream::Value;
use super::symlink::PendingSymlink;
use super::walk::Places;
use crate::error::{Error, Result};
use crate::hub::LinkEntry;
use crate::path::LayerPath;
use crate::place::disk;
use crate::view::{self, Target};

/// How many names are read to find the spelling of the targets of symbolic links.
const LISTING_BUDGET: u64 = 4_000_000;

/// A directory on the host whose times and reparse data are still to be set.
#[derive(Debug)]
pub(super) struct PendingDirectory {
    pub(super) path: LayerPath,
    pub(super) basic_info: FileBasicInfo,
    /// Whether its times are already kept.
    pub(super) has_times: bool,
    pub(super) reparse: Option<Value>,
}

/// Creates the links, and completes the directories.
pub(super) struct Links<'a> {
    pub(super) ground: &'a Ground,
    pub(super) places: &'a mut Places,
    pub(super) report: &'a mut Extracted,
}

impl Links<'_> {
    /// Creates the hard links; a hard link to a symbolic link becomes another symbolic link.
    pub(super) fn hard_links(
        &mut self,
        links: Vec<LinkEntry>,
        symlinks: &mut Vec<PendingSymlink>,
    ) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        let by_path: HashMap<LayerPath, usize> = symlinks
            .iter()
            .enumerate()
            .map(|(number, link)| (link.path.clone(), number))
            .collect();
        let mut targets: HashMap<LayerPath, LayerPath> = links
            .iter()
            .map(|link| (link.path.clone(), link.target.clone()))
            .collect();
        for link in links {
            let target = last_target(&mut targets, &link.path);
            match by_path.get(&target) {
                Some(&number) => {
                    let mut symlink = symlinks[number].clone();
                    symlink.path = link.path;
                    symlinks.push(symlink);
                }
                None => self.hard_link(&link, &target)?,
            }
        }
        Ok(())
    }

    fn hard_link(&mut self, link: &LinkEntry, target: &LayerPath) -> Result<()> {
        let ground = self.ground;
        let (from, name) = match self.extracted(target) {
            Ok(found) => found,
            Err(reason) => {
                self.report
                    .not_made(&link.path, &link.target.to_string(), reason.into());
                return Ok(());
            }
        };
        let to = self.places.parent(&link.path, self.report)?;
        let failed = || ground.error("link", &link.path);
        let new = match ground.free(&to, &link.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let why = Reason::PlaceTaken.into();
                self.report
                    .not_made(&link.path, &link.target.to_string(), why);
                return Ok(());
            }
            new => new.map_err(failed())?,
        };
        match from.dir.hard_link(&name, &to.dir, &new) {
            Ok(()) => self.report.links += 1,
            Err(error) if can_copy(&error) => {
                copy(&from.dir, &name, &to.dir, &new).map_err(failed())?;
                self.report.copied_links += 1;
            }
            Err(error) => return Err(failed()(error)),
        }
        if new.as_bytes() != link.path.file_name() {
            self.report.renamed(&link.path, &new);
        }
        Ok(())
    }

    /// Finds a file that this extraction has written.
    fn extracted(
        &mut self,
        path: &LayerPath,
    ) -> std::result::Result<(Arc<Folder>, String), Reason> {
        let missing = |_| Reason::TargetMissing;
        let folder = self.places.find_parent(path).map_err(missing)?;
        let made = &self.ground.made;
        let name = made.name_of(folder.place, path.file_name(), self.ground.rules);
        let name = name.into_owned();
        let place = made.place(folder.place, &name);
        if self.places.has_entered(place) {
            return Err(Reason::TargetIsDirectory);
        }
        let there = folder.dir.symlink_metadata(&name).map_err(missing)?;
        match there.is_file() && made.is_claimed(place) {
            true => Ok((folder, name)),
            false => Err(Reason::TargetMissing),
        }
    }

    /// Creates the symbolic links.
    pub(super) fn symlinks(&mut self, links: &[PendingSymlink]) -> Result<()> {
        let mut budget = LISTING_BUDGET;
        for link in links {
            let made = match &link.text {
                Ok(text) => self.symlink(link, text, &mut budget)?,
                Err((_, why)) => Err(why.clone()),
            };
            if let Err(why) = made {
                self.report.not_made(&link.path, &link.shown(), why);
            }
        }
        Ok(())
    }

    fn symlink(
        &mut self,
        link: &PendingSymlink,
        text: &[u8],
        budget: &mut u64,
    ) -> Result<std::result::Result<(), Why>> {
        let Target::Inside(target) = view::target_of_text(&link.path, text) else {
            return Ok(Err(Reason::LeadsOutside.into()));
        };
        let folder = match self.places.parent(&link.path, self.report) {
            // A file is in the way of the link's directory.
            Err(Error::Io { source, .. }) if is_taken(&source) => {
                return Ok(Err(Reason::PlaceTaken.into()));
            }
            folder => folder?,
        };
        let text = relative(&link.path, &target, &self.places.spelling(&target, budget));
        let name = match self.ground.free(&folder, &link.path) {
            Err(error) if is_taken(&error) => return Ok(Err(Reason::PlaceTaken.into())),
            name => name.map_err(self.ground.error("make the link", &link.path))?,
        };
        let attributes = link.basic_info.attributes;
        let made = match attributes.contains(FileAttributes::DIRECTORY) {
            true => folder.dir.symlink_dir(&text, &name),
            false => folder.dir.symlink_file(&text, &name),
        };
        if let Err(error) = made {
            return Ok(Err(Why {
                reason: Reason::Refused,
                cause: Some(error.to_string()),
            }));
        }
        let report = &mut *self.report;
        let path = || link.path.to_string();
        if !set_times(&folder.dir, &name, &link.basic_info) {
            report.lost(Loss::LastTimes, 16, path);
        }
        report.lost(Loss::ReparseData, link.size, path);
        if name.as_bytes() != link.path.file_name() {
            report.renamed(&link.path, &name);
        }
        report.symlinks += 1;
        Ok(Ok(()))
    }

    /// Completes the directories, after everything in them exists.
    pub(super) fn directories(&mut self, keeper: Keeper, all: &[PendingDirectory]) -> Result<()> {
        for directory in all {
            let (path, info) = (&directory.path, &directory.basic_info);
            let folder = self.places.parent(path, self.report)?;
            let made = &self.ground.made;
            let name = made.name_of(folder.place, path.file_name(), self.ground.rules);
            if !set_times(&folder.dir, &name, info) && !directory.has_times {
                self.report.lost(Loss::LastTimes, 16, || path.to_string());
            }
            if directory.reparse.is_some() {
                let object = folder.dir.open_dir_nofollow(&*name);
                let object = object.and_then(|dir| dir.open("."));
                let object = object.ok().map(cap_std::fs::File::into_std);
                keeper.keep_reparse(object.as_ref(), path, &directory.reparse, self.report);
            }
        }
        Ok(())
    }
}

/// Follows links to links to the last target, and remembers it for all of them. In a circle, any
/// link can be the last.
fn last_target(targets: &mut HashMap<LayerPath, LayerPath>, link: &LayerPath) -> LayerPath {
    let mut seen = Vec::new();
    let mut last = link.clone();
    while let Some(next) = targets.remove(&last) {
        seen.push(std::mem::replace(&mut last, next));
    }
    for path in seen {
        targets.insert(path, last.clone());
    }
    last
}

fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | IsADirectory | NotADirectory)
}

fn can_copy(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(
        error.kind(),
        CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
    )
}

/// Copies a file that cannot have another name.
fn copy(from: &Dir, name: &str, to: &Dir, new: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut source = from.open_with(name, options.read(true).follow(FollowSymlinks::No))?;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .follow(FollowSymlinks::No);
    let mut copy = to.open_with(new, &options)?;
    io::copy(&mut source, &mut copy)?;
    let times = source.metadata()?;
    let modified = times.modified()?.into_std();
    let copy = copy.into_std();
    copy.set_modified(modified)?;
    disk::close(copy)
}

/// Returns the relative path from a link to its target; `spelt` has the names of the target from
/// the top.
fn relative(link: &LayerPath, target: &LayerPath, spelt: &[String]) -> String {
    let above = link.parent();
    let from: Vec<&[u8]> = above.iter().flat_map(LayerPath::components).collect();
    let shared = from
        .iter()
        .zip(target.components())
        .take_while(|(a, b)| *a == b)
        .count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    let way: Vec<&str> = up
        .chain(spelt[shared..].iter().map(String::as_str))
        .collect();
    match way.is_empty() {
        true => ".".to_owned(),
        false => way.join("/"),
    }
}

/// Sets the times of last write and access; returns whether the host holds them.
fn set_times(dir: &Dir, name: &str, info: &FileBasicInfo) -> bool {
    let (accessed, modified) = (info.last_access_time, info.last_write_time);
    let there = || {
        let there = dir.symlink_metadata(name).ok()?;
        let (modified, accessed) = there.modified().ok().zip(there.accessed().ok())?;
        Some((modified.into_std(), accessed.into_std()))
    };
    let set = set_link_times(dir, name, host_time(accessed), host_time(modified));
    set.is_ok() && are_held(info, there)
}

/// Sets times without following a link. On Unix this does not use cap-std, which panics at times
/// before 1970.
#[cfg(unix)]
fn set_link_times(
    dir: &Dir,
    name: &str,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    use rustix::fs::{AtFlags, Timestamps, UTIME_OMIT, utimensat};
    let spec = |time: Option<SystemTime>| {
        let mut spec = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match time.map(|time| time.duration_since(SystemTime::UNIX_EPOCH)) {
            None => spec.tv_nsec = UTIME_OMIT,
            Some(Ok(since)) => {
                spec.tv_sec = since.as_secs().try_into().ok()?;
                spec.tv_nsec = since.subsec_nanos() as _;
            }
            Some(Err(before)) => {
                let before = before.duration();
                spec.tv_sec = 0_i64.checked_sub_unsigned(before.as_secs())?;
                if before.subsec_nanos() > 0 {
                    spec.tv_sec -= 1;
                    spec.tv_nsec = (1_000_000_000 - before.subsec_nanos()) as _;
                }
            }
        }
        Some(spec)
    };
    let (Some(last_access), Some(last_modification)) = (spec(accessed), spec(modified)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let times = Timestamps {
        last_access,
        last_modification,
    };
    Ok(utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(not(unix))]
fn set_link_times(
    dir: &Dir,
    name: &str,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    use cap_fs_ext::SystemTimeSpec;
    let spec = |time: SystemTime| SystemTimeSpec::from(cap_std::time::SystemTime::from_std(time));
    dir.set_symlink_times(name, accessed.map(spec), modified.map(spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        text.parse().expect(text)
    }

    #[test]
    fn a_link_goes_up_to_the_shared_folder_and_down() {
        for (link, target, text) in [
            ("Files/l", "Files/x", "x"),
            ("Files/a/l", "Files/x/y", "../x/y"),
            ("Files/a/b/l", "Files/a", ".."),
            ("Files/a/l", "Files/a", "."),
            ("Files/a/l", "Files/A/x", "../A/x"),
            ("UtilityVM/Files/l", "UtilityVM/Files", "."),
        ] {
            let spelt: Vec<String> = target.split('/').map(str::to_owned).collect();
            assert_eq!(relative(&path(link), &path(target), &spelt), text);
        }
    }

    #[test]
    fn links_to_links_lead_to_the_file_and_circles_end() {
        let pairs = |all: &[(&str, &str)]| -> HashMap<LayerPath, LayerPath> {
            all.iter()
                .map(|(link, target)| (path(link), path(target)))
                .collect()
        };
        let mut chain = pairs(&[("a", "b"), ("b", "C"), ("c", "file")]);
        for link in ["b", "a", "c", "a"] {
            assert_eq!(last_target(&mut chain, &path(link)), path("file"));
        }
        let mut circle = pairs(&[("a", "b"), ("b", "a")]);
        for link in ["a", "b", "a"] {
            last_target(&mut circle, &path(link));
        }
        assert_eq!(circle.len(), 2);
    }
}
