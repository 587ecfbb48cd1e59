//! [`Way`]: the directories on the way to the last path, some of them held open.
//!
//! Consecutive paths usually share most of their directories. Opening each path from its root again
//! costs the square of the depth; holding every directory open costs a handle for each. So every
//! sixteenth directory and the last one stay open: whatever comes next, few directories are opened
//! twice.

use std::io;
use std::sync::Arc;

/// The distance between directories that stay open.
const STEP: usize = 16;

/// The way down from a root, which the caller holds.
#[derive(Debug)]
pub(crate) struct Way<T> {
    /// The names of the directories, outermost first.
    names: Vec<Vec<u8>>,
    /// The open directories at depth 16, 32, …
    open: Vec<Arc<T>>,
    /// The directory that was requested last, and its depth.
    last: Option<(usize, Arc<T>)>,
}

impl<T> Default for Way<T> {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            open: Vec::new(),
            last: None,
        }
    }
}

impl<T> Way<T> {
    /// Returns the directory that these names lead to from `root`, one below the other. `enter`
    /// opens a name in a directory.
    pub(crate) fn go<'a>(
        &mut self,
        root: &Arc<T>,
        names: impl Iterator<Item = &'a [u8]>,
        mut enter: impl FnMut(&T, &[u8]) -> io::Result<T>,
    ) -> io::Result<Arc<T>> {
        let mut depth = 0;
        let mut is_known = true;
        for name in names {
            is_known = is_known && self.names.get(depth).is_some_and(|known| known == name);
            if !is_known {
                self.keep(depth);
                self.names.push(name.to_owned());
            }
            depth += 1;
        }
        let (mut at, mut folder) = self.nearest(root, depth);
        while at < depth {
            folder = Arc::new(match enter(&folder, &self.names[at]) {
                Ok(folder) => folder,
                Err(error) => {
                    self.keep(at);
                    return Err(error);
                }
            });
            at += 1;
            if at == STEP * (self.open.len() + 1) {
                self.open.push(Arc::clone(&folder));
            }
        }
        self.last = Some((depth, Arc::clone(&folder)));
        Ok(folder)
    }

    /// Forgets all directories except the first `depth`.
    pub(crate) fn keep(&mut self, depth: usize) {
        self.names.truncate(depth);
        self.open.truncate(depth / STEP);
        self.last.take_if(|(last, _)| *last > depth);
    }

    /// Returns the deepest open directory that is not below `depth`, and its depth.
    fn nearest(&self, root: &Arc<T>, depth: usize) -> (usize, Arc<T>) {
        let count = self.open.len().min(depth / STEP);
        let step = match count.checked_sub(1) {
            Some(at) => (STEP * count, &self.open[at]),
            None => (0, root),
        };
        let last = self.last.as_ref().map(|(last, folder)| (*last, folder));
        let last = last.filter(|(last, _)| (step.0..=depth).contains(last));
        let (at, folder) = last.unwrap_or(step);
        (at, Arc::clone(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes to a directory whose handle is its path; returns the number of directories opened.
    fn go(way: &mut Way<String>, path: &str) -> usize {
        let mut opened = 0;
        let root = Arc::new(String::new());
        let names = path.split('/').filter(|name| !name.is_empty());
        let found = way.go(&root, names.map(str::as_bytes), |above, name| {
            opened += 1;
            Ok(format!("{above}/{}", String::from_utf8_lossy(name)))
        });
        assert_eq!(found.expect("opened").trim_start_matches('/'), path);
        opened
    }

    #[test]
    fn few_directories_are_opened_twice_and_few_are_held() {
        let mut way = Way::default();
        let path = |depth: usize| vec!["d"; depth].join("/");
        let down: usize = (1..=1000).map(|depth| go(&mut way, &path(depth))).sum();
        assert_eq!(down, 1000);
        let up: usize = (0..1000)
            .rev()
            .map(|depth| go(&mut way, &path(depth)))
            .sum();
        assert!(up < 1000 * STEP, "{up}");
        assert_eq!(go(&mut way, &path(1000)), 1000 % STEP);
        assert_eq!(go(&mut way, &path(1000)), 0);
        assert_eq!(way.open.len(), 1000 / STEP);
        assert_eq!(go(&mut way, &format!("{}/x", path(500))), 5);
    }

    #[test]
    fn what_cannot_be_opened_is_tried_again() {
        let mut way = Way::default();
        go(&mut way, "a/b");
        let root = Arc::new(String::new());
        let names = || [&b"a"[..], b"x", b"y"].into_iter();
        let refused = way.go(&root, names(), |_, _| Err(io::ErrorKind::NotFound.into()));
        assert!(refused.is_err());
        assert_eq!(go(&mut way, "a/x/y"), 3);
        way.keep(1);
        assert_eq!(go(&mut way, "a/x"), 2);
    }
}
