//! Changes as text: a line for each path, followed by a line for each difference.

use std::io::{self, Write};

use wclayer::diff::{Aspect, Change, Difference};
use wclayer::ntmeta::SecurityDescriptor;
use wclayer::ntmeta::security::{Ace, AclSlot};
use wclayer::view::NodeKind;

use super::{Arguments, Stat, for_each, node_of};
use crate::errors::CliError;
use crate::escape::escaped;

/// How much of a text is shown, in characters; JSON shows all of it.
const LONGEST: usize = 200;
/// How much is shown before the first difference of two longer texts, in characters.
const BEFORE: usize = 40;

/// Prints the changes and their numbers.
pub(super) fn print(
    arguments: &Arguments,
    changes: impl Iterator<Item = wclayer::Result<Change>>,
    stat: &mut Stat,
    mut sink: impl Write,
) -> Result<(), CliError> {
    for_each(changes, stat, |change| match arguments.stat {
        true => Ok(()),
        false => write_change(&mut sink, change).map_err(CliError::Stdout),
    })?;
    let written = write_stat(&mut sink, stat).and_then(|()| sink.flush());
    written.map_err(CliError::Stdout)
}

/// Writes a change.
fn write_change(sink: &mut impl Write, change: &Change) -> io::Result<()> {
    let (name, node) = node_of(change);
    let sign = match name {
        "added" => '+',
        "removed" => '-',
        _ => '*',
    };
    let is_directory = node.kind == NodeKind::Directory;
    let slash = if is_directory { "/" } else { "" };
    let link = match (change, &node.link) {
        (Change::Changed { .. }, _) | (_, None) => String::new(),
        (_, Some(target)) => format!(" (hard link to {target})"),
    };
    let line = format!("{}{slash}{link}", node.path);
    writeln!(sink, "{sign} {}", escaped(&line))?;
    let Change::Changed { differences, .. } = change else {
        return Ok(());
    };
    for difference in differences {
        write_difference(sink, difference, is_directory)?;
    }
    Ok(())
}

/// Writes the numbers.
fn write_stat(sink: &mut impl Write, stat: &Stat) -> io::Result<()> {
    if stat.is_equal() {
        return writeln!(sink, "no differences");
    }
    let (added, removed, changed) = (stat.added, stat.removed, stat.changed);
    writeln!(sink, "{added} added, {removed} removed, {changed} changed")?;
    for (aspect, count) in &stat.aspects {
        writeln!(sink, "  {aspect}: {count}")?;
    }
    Ok(())
}

fn write_difference(
    sink: &mut impl Write,
    difference: &Difference,
    is_directory: bool,
) -> io::Result<()> {
    let aspect = difference.aspect.name();
    let name = difference.name.as_ref().map(|name| format!(" {name}"));
    let name = name.unwrap_or_default();
    let (left, right) = (difference.left.as_deref(), difference.right.as_deref());
    if let Some(lines) = entries(difference, is_directory) {
        writeln!(sink, "    {aspect}:")?;
        return (lines.iter()).try_for_each(|line| writeln!(sink, "      {}", escaped(line)));
    }
    let [left, right] = shortened([left.unwrap_or("none"), right.unwrap_or("none")]);
    writeln!(sink, "    {aspect}{}: {left} -> {right}", escaped(&name))
}

/// Describes the entries that only one of two access control lists has: `- allow …` for the left one,
/// `+ allow …` for the right one. Returns `None` if this does not cover the whole difference.
fn entries(difference: &Difference, is_directory: bool) -> Option<Vec<String>> {
    if !matches!(difference.aspect, Aspect::Dacl | Aspect::Sacl) {
        return None;
    }
    let parse = |sddl: &Option<String>| SecurityDescriptor::from_sddl(sddl.as_deref()?).ok();
    let (left, right) = (parse(&difference.left)?, parse(&difference.right)?);
    let list = |descriptor: SecurityDescriptor| match (descriptor.dacl, descriptor.sacl) {
        (AclSlot::Present(acl), AclSlot::Absent) => Some(acl.aces),
        (AclSlot::Absent, AclSlot::Present(acl)) => Some(acl.aces),
        _ => None,
    };
    let is_same_control = left.control == right.control;
    let (left, right) = (list(left)?, list(right)?);
    let (removed, left_rest) = split(&left, &right);
    let (added, right_rest) = split(&right, &left);
    let words = |aces: Vec<&Ace>| -> Vec<String> {
        let words = aces.iter().map(|ace| ace.explain(is_directory).to_string());
        words.collect()
    };
    let (removed, added) = (words(removed), words(added));
    let is_complete = is_same_control
        && left_rest == right_rest
        && !removed.iter().any(|ace| added.contains(ace));
    let removed = removed.iter().map(|ace| format!("- {ace}"));
    let added = added.iter().map(|ace| format!("+ {ace}"));
    is_complete.then(|| removed.chain(added).collect())
}

/// Splits a list into the entries that `other` lacks, or has less often, and the rest.
fn split<'a>(list: &'a [Ace], other: &[Ace]) -> (Vec<&'a Ace>, Vec<&'a Ace>) {
    let mut left: Vec<&Ace> = other.iter().collect();
    let is_new = |ace: &&Ace| match left.iter().position(|other| other == ace) {
        Some(at) => {
            left.remove(at);
            false
        }
        None => true,
    };
    list.iter().partition(is_new)
}

/// Escapes two texts; cuts long ones to the part around their first difference.
fn shortened(texts: [&str; 2]) -> [String; 2] {
    let length = |text: &str| text.chars().count();
    let [left, right] = texts;
    let same = left.chars().zip(right.chars());
    let same = same.take_while(|(left, right)| left == right).count();
    let start = match texts.iter().any(|text| length(text) > LONGEST) {
        true => same.saturating_sub(BEFORE),
        false => 0,
    };
    texts.map(|text| {
        let part: String = text.chars().skip(start).take(LONGEST).collect();
        let cut = |is_cut: bool| if is_cut { "…" } else { "" };
        let before = cut(start > 0);
        let after = cut(length(text) > start + LONGEST);
        format!("{before}{}{after}", escaped(&part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(aspect: Aspect, left: &str, right: &str) -> String {
        let difference = Difference {
            aspect,
            name: None,
            left: Some(left.to_owned()),
            right: Some(right.to_owned()),
        };
        let mut sink = Vec::new();
        write_difference(&mut sink, &difference, false).expect("memory");
        String::from_utf8(sink).expect("text")
    }

    #[test]
    fn long_texts_are_shown_around_the_first_difference() {
        let long = |middle: &str| format!("{}{middle}{}", "a".repeat(500), "z".repeat(500));
        let (before, after) = ("a".repeat(BEFORE), "z".repeat(LONGEST - BEFORE - 1));
        assert_eq!(
            shown(Aspect::Reparse, &long("1"), &long("2")),
            format!("    reparse: …{before}1{after}… -> …{before}2{after}…\n")
        );
        let start = "a".repeat(LONGEST);
        assert_eq!(
            shown(Aspect::Other, &start, &format!("{start}1")),
            format!("    other: …{before} -> …{before}1\n")
        );
        assert_eq!(
            shown(Aspect::Owner, "O:BA", "O:SY"),
            "    owner: O:BA -> O:SY\n"
        );
    }

    #[test]
    fn lists_are_compared_by_their_entries() {
        let of = |left: &str, right: &str| shown(Aspect::Dacl, left, right);
        assert_eq!(
            of(
                "D:P(A;;FA;;;SY)(A;;FR;;;BU)",
                "D:P(A;;FA;;;SY)(A;;FR;;;WD)(A;;FA;;;SY)"
            ),
            "    dacl:\n      - allow BUILTIN\\Users: read\n      + allow Everyone: read\n      \
             + allow NT AUTHORITY\\SYSTEM: full control\n"
        );
        for (left, right) in [
            ("D:(A;;FA;;;SY)", "D:P(A;;FA;;;SY)"),
            ("D:(A;;FA;;;SY)(A;;FA;;;BA)", "D:(A;;FA;;;BA)(A;;FA;;;SY)"),
            ("D:(A;;FA;;;SY), revision 2", "D:(A;;FA;;;SY), revision 4"),
            ("D:NO_ACCESS_CONTROL", "D:(A;;FA;;;SY)"),
        ] {
            assert_eq!(of(left, right), format!("    dacl: {left} -> {right}\n"));
        }
    }
}
