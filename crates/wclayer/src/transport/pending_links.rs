//! [`PendingLinks`]: hard links that are made at the end, in an order in which each target exists.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::path::LayerPath;
use crate::rules::Breach;

/// Links that wait, one a name; the last one of a name counts.
#[derive(Debug, Default)]
pub(crate) struct PendingLinks {
    targets: HashMap<LayerPath, LayerPath>,
}

impl PendingLinks {
    /// Takes note of a link.
    pub(crate) fn insert(&mut self, path: &LayerPath, target: &LayerPath) {
        // The spelling of the last one counts as well.
        self.targets.remove(path);
        self.targets.insert(path.clone(), target.clone());
    }

    /// Forgets a link whose name another entry took.
    pub(crate) fn remove(&mut self, path: &LayerPath) {
        self.targets.remove(path);
    }

    /// Returns whether a name is a link that waits.
    pub(crate) fn contains(&self, path: &LayerPath) -> bool {
        self.targets.contains_key(path)
    }

    /// Lists the links with their targets, sorted by name but a link after the link that it is a
    /// link to.
    ///
    /// # Errors
    ///
    /// Returns [`Breach::LinkLoop`] if links only lead to one another.
    pub(crate) fn in_order(&self) -> Result<Vec<(&LayerPath, &LayerPath)>> {
        let mut names: Vec<_> = self.targets.keys().collect();
        names.sort();
        let mut done = HashSet::new();
        let mut ordered = Vec::with_capacity(names.len());
        for name in names {
            let mut chain = Vec::new();
            let mut on_chain = HashSet::new();
            let mut next = Some(name);
            while let Some(path) = next.filter(|path| !done.contains(path)) {
                let Some((path, target)) = self.targets.get_key_value(path) else {
                    break;
                };
                if !on_chain.insert(path) {
                    let target = target.clone();
                    return Err(Breach::LinkLoop { target }.broken_by(path));
                }
                chain.push((path, target));
                next = Some(target);
            }
            done.extend(chain.iter().map(|(path, _)| *path));
            ordered.extend(chain.into_iter().rev());
        }
        Ok(ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::rule_of;
    use crate::rules::Rule;

    fn links(pairs: &[(&str, &str)]) -> PendingLinks {
        let path = |text: &str| text.parse::<LayerPath>().expect(text);
        let mut links = PendingLinks::default();
        for (name, target) in pairs {
            links.insert(&path(name), &path(target));
        }
        links
    }

    fn names(links: &PendingLinks) -> Vec<String> {
        let ordered = links.in_order().expect("no loop");
        ordered.iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn a_link_comes_after_the_link_it_leads_to() {
        let links = links(&[("a", "B"), ("b", "c"), ("c", "file"), ("d", "a")]);
        assert_eq!(names(&links), ["c", "b", "a", "d"]);
    }

    #[test]
    fn the_last_link_of_a_name_counts() {
        let links = links(&[("a", "x"), ("A", "y")]);
        let ordered = links.in_order().expect("no loop");
        assert_eq!(ordered.len(), 1);
        assert_eq!(ordered[0].0.to_string(), "A");
        assert_eq!(ordered[0].1.to_string(), "y");
    }

    #[test]
    fn a_loop_of_links_is_refused() {
        for pairs in [&[("a", "a")][..], &[("x", "a"), ("a", "b"), ("b", "A")]] {
            let error = links(pairs).in_order().map(|_| ()).expect_err("a loop");
            assert_eq!(rule_of(&error), Some(Rule::LinkLoop), "{error}");
        }
    }
}
