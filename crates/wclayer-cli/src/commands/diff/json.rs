//! Changes as one JSON object (`docs/json.md`).

use std::io::Write;

use serde::Serialize;
use wclayer::diff::{Change, Difference};

use super::{Arguments, Stat, for_each, node_of};
use crate::errors::CliError;
use crate::layer_view;
use crate::list_json::ListJson;
use crate::node_view::{kind_name, known_size};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeJson<'a> {
    change: &'static str,
    path: String,
    kind: &'static str,
    size: Option<u64>,
    link: Option<String>,
    differences: Vec<DifferenceJson<'a>>,
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    aspect: &'static str,
    name: Option<&'a str>,
    left: Option<&'a str>,
    right: Option<&'a str>,
}

impl<'a> ChangeJson<'a> {
    fn new(change: &'a Change) -> Self {
        let (name, node) = node_of(change);
        let differences = match change {
            Change::Changed { differences, .. } => differences.as_slice(),
            _ => &[],
        };
        Self {
            change: name,
            path: node.path.to_string(),
            kind: kind_name(node.kind),
            size: known_size(node),
            link: node.link.as_ref().map(ToString::to_string),
            differences: differences.iter().map(DifferenceJson::new).collect(),
        }
    }
}

impl<'a> DifferenceJson<'a> {
    fn new(difference: &'a Difference) -> Self {
        Self {
            aspect: difference.aspect.name(),
            name: difference.name.as_deref(),
            left: difference.left.as_deref(),
            right: difference.right.as_deref(),
        }
    }
}

/// Prints the changes and counts them.
pub(super) fn print(
    arguments: &Arguments,
    changes: impl Iterator<Item = wclayer::Result<Change>>,
    stat: &mut Stat,
    sink: impl Write,
) -> Result<(), CliError> {
    let [left, right] = [&arguments.left, &arguments.right].map(|path| layer_view::absolute(path));
    let sides = [("left", left.as_str()), ("right", right.as_str())];
    let mut list = ListJson::start(sink, &sides, "changes")?;
    let compared = for_each(changes, stat, |change| match arguments.stat {
        true => Ok(()),
        false => list.add(&ChangeJson::new(change)),
    });
    list.end(Some("stat"), compared.map(|()| stat)).map(drop)
}
