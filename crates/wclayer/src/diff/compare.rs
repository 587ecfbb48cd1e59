//! Compares two entries of one path.

use std::collections::BTreeMap;

use ntmeta::{ea, wide};

use super::content::{self, Form};
use super::text::{hex, kind, reparse};
use super::{Aspect, DiffOptions, Difference, security};
use crate::error::Result;
use crate::hub::Progress;
use crate::layer::{Details, Removed, StreamDetails};
use crate::path::{LayerPath, StreamName};
use crate::view::{Node, View};

/// An entry of one of the views.
pub(super) struct Side<'a> {
    pub(super) view: &'a View,
    pub(super) node: &'a Node,
    /// The first name of the file, if it is another one.
    pub(super) first_name: Option<LayerPath>,
}

/// Two entries of one path.
pub(super) struct Comparison<'a> {
    pub(super) left: Side<'a>,
    pub(super) right: Side<'a>,
    /// Whether the two files were already compared under another name: only the properties of this
    /// name are left.
    pub(super) is_compared: bool,
    pub(super) options: &'a DiffOptions,
    pub(super) progress: &'a dyn Progress,
}

impl Comparison<'_> {
    /// Returns all differences that are not ignored.
    pub(super) fn differences(&self) -> Result<Vec<Difference>> {
        let mut found = Vec::new();
        let (left, right) = (self.left.node, self.right.node);
        let kind = |node: &Node| Some(kind(node).to_owned());
        self.tell(&mut found, Aspect::Kind, kind(left), kind(right));
        let name = |node: &Node| Some(wide::display(node.path.file_name()).into_owned());
        self.tell(&mut found, Aspect::Name, name(left), name(right));
        if !self.is_compared {
            self.file(&mut found)?;
            self.links(&mut found);
        }
        let removed = |node: &Node| {
            let name = node.removed.map(|removed| match removed {
                Removed::Path => "path",
                Removed::Contents => "contents",
            });
            name.map(ToOwned::to_owned)
        };
        self.tell(&mut found, Aspect::Removal, removed(left), removed(right));
        found.sort_by(|a, b| (a.aspect, &a.name).cmp(&(b.aspect, &b.name)));
        Ok(found)
    }

    /// Compares the first names of the files. If the files have an earlier name in common, the
    /// difference is reported there.
    fn links(&self, found: &mut Vec<Difference>) {
        if self.left.first_name != self.right.first_name {
            let name = |side: &Side<'_>| side.first_name.as_ref().map(ToString::to_string);
            self.tell(found, Aspect::Links, name(&self.left), name(&self.right));
        }
    }

    /// Compares the properties of a file or directory other than those of its name.
    fn file(&self, found: &mut Vec<Difference>) -> Result<()> {
        self.times_and_attributes(found);
        let (left, right) = (self.left.node, self.right.node);
        let details = (
            self.left.view.details(left)?,
            self.right.view.details(right)?,
        );
        self.streams(&details.0, &details.1, found)?;
        let (left_security, right_security) = (&details.0.security, &details.1.security);
        for (aspect, [left, right]) in
            security::compare(left_security.as_deref(), right_security.as_deref())
        {
            self.tell(found, aspect, left, right);
        }
        self.extended_attributes(&details.0, &details.1, found);
        let [left_reparse, right_reparse] = reparse(&details.0, &details.1);
        self.tell(found, Aspect::Reparse, left_reparse, right_reparse);
        let other = |details: &Details| details.other_streams.as_deref().map(hex);
        let (left_other, right_other) = (other(&details.0), other(&details.1));
        self.tell(found, Aspect::Other, left_other, right_other);
        Ok(())
    }

    fn counts(&self, aspect: Aspect) -> bool {
        !self.options.ignore.contains(&aspect)
    }

    fn tell(
        &self,
        found: &mut Vec<Difference>,
        aspect: Aspect,
        left: Option<String>,
        right: Option<String>,
    ) {
        if left != right && self.counts(aspect) {
            found.push(Difference {
                aspect,
                name: None,
                left,
                right,
            });
        }
    }

    fn times_and_attributes(&self, found: &mut Vec<Difference>) {
        let (left, right) = (self.left.node, self.right.node);
        let attributes = |node: &Node| Some(node.attributes().to_string());
        self.tell(
            found,
            Aspect::Attributes,
            attributes(left),
            attributes(right),
        );
        for aspect in [
            Aspect::CreationTime,
            Aspect::LastAccessTime,
            Aspect::LastWriteTime,
            Aspect::ChangeTime,
        ] {
            let time = |node: &Node| {
                node.basic_info().map(|info| match aspect {
                    Aspect::CreationTime => info.creation_time.to_string(),
                    Aspect::LastAccessTime => info.last_access_time.to_string(),
                    Aspect::LastWriteTime => info.last_write_time.to_string(),
                    _ => info.change_time.to_string(),
                })
            };
            self.tell(found, aspect, time(left), time(right));
        }
    }

    fn streams(&self, left: &Details, right: &Details, found: &mut Vec<Difference>) -> Result<()> {
        // By folded name; the last stream of a name counts.
        let mut pairs: BTreeMap<Vec<u16>, [Option<&StreamDetails>; 2]> = BTreeMap::new();
        for (side, details) in [left, right].into_iter().enumerate() {
            for stream in &details.streams {
                pairs.entry(folded(stream)).or_default()[side] = Some(stream);
            }
        }
        for [left, right] in pairs.into_values() {
            let Some(stream) = left.or(right) else {
                continue;
            };
            self.stream_name(left, right, found);
            let aspect = match stream.name {
                None => Aspect::Content,
                Some(_) => Aspect::Stream,
            };
            if !self.counts(aspect) {
                continue;
            }
            // A file without data may have an empty stream or none.
            let is_nothing = |stream: Option<&StreamDetails>| stream.is_none_or(|at| at.size == 0);
            if stream.name.is_none() && is_nothing(left) && is_nothing(right) {
                continue;
            }
            let form = Form::of(left, right);
            let (left, right) = (
                self.content(&self.left, left, form)?,
                self.content(&self.right, right, form)?,
            );
            if left != right {
                found.push(Difference {
                    aspect,
                    name: stream.name.as_ref().map(ToString::to_string),
                    left,
                    right,
                });
            }
        }
        Ok(())
    }

    /// Reports two spellings of a stream's name.
    fn stream_name(
        &self,
        left: Option<&StreamDetails>,
        right: Option<&StreamDetails>,
        found: &mut Vec<Difference>,
    ) {
        let name = |stream: Option<&StreamDetails>| Some(stream?.name.as_ref()?.to_string());
        let (left, right) = (name(left), name(right));
        if left.is_some() && right.is_some() && left != right && self.counts(Aspect::Name) {
            found.push(Difference {
                aspect: Aspect::Name,
                name: left.clone(),
                left,
                right,
            });
        }
    }

    /// Returns the length and hash of a stream. If the lengths differ, the hash is included only if
    /// it is known.
    fn content(
        &self,
        side: &Side<'_>,
        stream: Option<&StreamDetails>,
        form: Form,
    ) -> Result<Option<String>> {
        let Some(stream) = stream else {
            return Ok(None);
        };
        let open = || {
            let content = side.view.content(side.node, stream.name.as_ref())?;
            Ok::<_, crate::Error>(content.reader())
        };
        let size = stream.size;
        Ok(Some(match (form, stream.sha256) {
            (Form::Blocks, _) => {
                let digest = content::hash_blocks(&mut open()?, self.progress)?;
                format!("{size} bytes blocks-{digest}")
            }
            (_, Some(digest)) => format!("{size} bytes {digest}"),
            (Form::Length, None) => format!("{size} bytes"),
            (Form::Sha256, None) => {
                let digest = content::hash(&mut open()?, self.progress)?;
                format!("{size} bytes {digest}")
            }
        }))
    }

    fn extended_attributes(&self, left: &Details, right: &Details, found: &mut Vec<Difference>) {
        if left.ea == right.ea || !self.counts(Aspect::Ea) {
            return;
        }
        // A malformed list is compared as a whole, and so are lists whose attributes are all equal.
        let text = |details: &Details| details.ea.as_deref().map(hex);
        let mut pairs: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
        for (side, details) in [left, right].into_iter().enumerate() {
            let Some(bytes) = &details.ea else { continue };
            let Ok(attributes) = ea::decode_list(bytes) else {
                return self.tell(found, Aspect::Ea, text(left), text(right));
            };
            for attribute in attributes {
                let name = String::from_utf8_lossy(&attribute.name).into_owned();
                let value = match attribute.flags {
                    0 => hex(&attribute.value),
                    flags => format!("{} flags {flags:#x}", hex(&attribute.value)),
                };
                pairs.entry(name).or_default()[side] = Some(value);
            }
        }
        pairs.retain(|_, [left, right]| left != right);
        if pairs.is_empty() {
            self.tell(found, Aspect::Ea, text(left), text(right));
        }
        found.extend(pairs.into_iter().map(|(name, [left, right])| Difference {
            aspect: Aspect::Ea,
            name: Some(name),
            left,
            right,
        }));
    }
}

fn folded(stream: &StreamDetails) -> Vec<u16> {
    stream
        .name
        .as_ref()
        .map_or_else(Vec::new, StreamName::folded)
}
