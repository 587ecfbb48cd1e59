//! Where symbolic links and junctions lead inside a view.

use ntmeta::{ReparsePoint, wide};

use super::chain::View;
use super::node::Node;
use crate::error::Result;
use crate::layout;
use crate::path::LayerPath;

/// How many symbolic links and junctions one path may lead over, as on Windows.
const MAX_REPARSE_STEPS: usize = 63;

/// Where a path leads to over symbolic links and junctions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// To this node.
    Found(Box<Node>),
    /// Nowhere: the path that does not exist, after the links on the way.
    Missing(LayerPath),
    /// Out of the layer.
    Outside {
        /// The reparse point.
        link: LayerPath,
        /// Its target, as text.
        target: String,
    },
    /// In a circle, or over too many links.
    Loop,
}

impl View {
    /// Follows the symbolic links and junctions on the way to a path, and at its end.
    ///
    /// Relative targets are followed, and absolute ones on `C:`, which is the layer's `Files`.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
    pub fn resolve(&self, path: &LayerPath) -> Result<Resolved> {
        let mut path = path.clone();
        for _ in 0..=MAX_REPARSE_STEPS {
            let Some((link, rest)) = self.first_link(&path)? else {
                return Ok(match self.find(&path)? {
                    Some(node) => Resolved::Found(Box::new(node)),
                    None => Resolved::Missing(path),
                });
            };
            match self.target(&link)? {
                Target::Inside(target) if rest.is_empty() => path = target,
                Target::Inside(target) => match target.join(&rest) {
                    Ok(next) => path = next,
                    Err(_) => return Ok(Resolved::Missing(target)),
                },
                Target::Outside(target) => {
                    return Ok(Resolved::Outside {
                        link: link.path,
                        target,
                    });
                }
                Target::None => {
                    return Ok(match rest.is_empty() {
                        true => Resolved::Found(Box::new(link)),
                        false => Resolved::Missing(path),
                    });
                }
            }
        }
        Ok(Resolved::Loop)
    }

    /// Returns the first reparse point on the way to a path, and the rest of the path after it.
    fn first_link(&self, path: &LayerPath) -> Result<Option<(Node, Vec<u8>)>> {
        let mut contributors: Vec<usize> = (0..self.seen).collect();
        let mut above: Option<LayerPath> = None;
        for step in path.ancestors().into_iter().chain([path.clone()]) {
            let merged = self.merged_of(above.as_ref(), &step, &contributors)?;
            let Some(node) = merged
                .map(|merged| self.node(merged))
                .transpose()?
                .flatten()
            else {
                return Ok(None);
            };
            contributors.clone_from(&node.contributors);
            above = Some(node.path.clone());
            if node.is_reparse_point() {
                let rest = &path.as_bytes()[step.as_bytes().len()..];
                return Ok(Some((
                    node,
                    rest.strip_prefix(b"/").unwrap_or(rest).to_vec(),
                )));
            }
        }
        Ok(None)
    }

    /// Returns where a reparse point leads to.
    fn target(&self, link: &Node) -> Result<Target> {
        let Some(buffer) = self.details(link)?.reparse else {
            return Ok(Target::None);
        };
        Ok(match ReparsePoint::decode(&buffer) {
            Ok(point) => target(&link.path, &point),
            Err(_) => Target::None,
        })
    }
}

/// Where a reparse point leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To this path of the layer.
    Inside(LayerPath),
    /// Elsewhere: another volume, a network, above the volume.
    Outside(String),
    /// Nowhere: it is not a link.
    None,
}

/// Returns where a symbolic link or junction at `path` leads. `C:` is the volume of the link:
/// `Files`, or `UtilityVM\Files` for the files of the utility VM.
pub(crate) fn target(path: &LayerPath, point: &ReparsePoint) -> Target {
    match point.target() {
        Some(text) => target_of_text(path, &text),
        None => Target::None,
    }
}

/// Returns where a link with that text (WTF-8) leads.
pub(crate) fn target_of_text(path: &LayerPath, text: &[u8]) -> Target {
    let outside = || Target::Outside(wide::display(text).into_owned());
    let Some(volume) = volume_of(path) else {
        return outside();
    };
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let (is_absolute, rest) = match without_device_prefix(text) {
        [b'C' | b'c', b':', rest @ ..] if rest.first().is_none_or(is_separator) => (true, rest),
        [_, b':', ..] => return outside(),
        [first, second, ..] if is_separator(first) && is_separator(second) => return outside(),
        [first, rest @ ..] if is_separator(first) => (true, rest),
        rest => (false, rest),
    };
    let top = volume.components().count();
    let mut place: Vec<&[u8]> = match is_absolute {
        true => volume.components().collect(),
        false => path.components().collect(),
    };
    if !is_absolute {
        place.pop();
    }
    for component in rest.split(is_separator) {
        match component {
            b"" | b"." => {}
            b".." if place.len() > top => {
                place.pop();
            }
            name if name == b".." || name.contains(&b':') => return outside(),
            name => place.push(name),
        }
    }
    LayerPath::parse(&place.join(&b'/')).map_or_else(|_| outside(), Target::Inside)
}

/// Strips the prefix of the device namespace from a path with a drive (Microsoft, "Naming Files,
/// Paths, and Namespaces"; `\??\` is the kernel's own).
fn without_device_prefix(text: &[u8]) -> &[u8] {
    [br"\\?\", br"\??\", br"\\.\"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .filter(|rest| matches!(rest, [_, b':', ..]))
        .unwrap_or(text)
}

/// Returns the directory of a path's volume.
fn volume_of(path: &LayerPath) -> Option<LayerPath> {
    [layout::FILES, layout::UTILITY_VM_FILES]
        .into_iter()
        .find(|volume| layout::is_below(path, volume))
        .map(layout::path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_of(link: &str, text: &str, is_junction: bool) -> Target {
        let point = ReparsePoint::from_target(text.as_bytes(), is_junction).expect(text);
        target(&link.parse().expect(link), &point)
    }

    #[test]
    fn targets_stay_on_the_volume_or_are_outside() {
        for (link, text, expected) in [
            ("Files/a/l", r"x\y", Some("Files/a/x/y")),
            ("Files/a/l", r"..\x", Some("Files/x")),
            ("Files/a/l", r"..\..\x", None),
            ("Files/a/l", r"\x", Some("Files/x")),
            ("Files/a/l", r"C:\x\y", Some("Files/x/y")),
            ("Files/a/l", r"c:\", Some("Files")),
            ("Files/a/l", r"\\?\C:\x", Some("Files/x")),
            ("Files/a/l", r"\??\C:\x", Some("Files/x")),
            ("Files/a/l", r"\\.\c:", Some("Files")),
            ("Files/a/l", r"\\?\D:\x", None),
            ("Files/a/l", r"\\?\UNC\server\share", None),
            ("Files/a/l", r"\??\C:x", None),
            ("Files/a/l", r"D:\x", None),
            ("Files/a/l", r"\\server\share", None),
            ("UtilityVM/Files/l", r"C:\x", Some("UtilityVM/Files/x")),
            ("Hives/l", "x", None),
        ] {
            let expected = match expected {
                Some(path) => Target::Inside(path.parse().expect(path)),
                None => Target::Outside(text.to_owned()),
            };
            assert_eq!(target_of(link, text, false), expected, "{link} -> {text}");
        }
        let junction = target_of("Files/j", r"C:\x", true);
        assert_eq!(junction, Target::Inside("Files/x".parse().expect("path")));
    }
}
