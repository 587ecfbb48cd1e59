//! Compares one of our tars with the reference's, after removing intentional differences from both.

use std::collections::BTreeSet;

use ntmeta::ReparsePoint;
use vectors::tarball::{self, LINK_NAME, MODIFIED, Member};
use vectors::{Check, same, time};

use crate::case::Outcome;
use crate::differences::{Difference, is_counted, times};
use crate::source::Source;

/// The prefix of our own records.
const VENDOR: &[u8] = b"WCLAYER.";
/// The time records, in the order of [`times`].
const TIMES: [&str; 4] = ["LIBARCHIVE.creationtime", "atime", "mtime", "ctime"];

/// Selects from the reference's tars, one for each kind of reader, the one that lost less.
pub(crate) fn fuller(tars: Vec<Vec<u8>>) -> Check<Option<Vec<u8>>> {
    let mut best: Option<(usize, Vec<u8>)> = None;
    for tar in tars {
        let members = tarball::parse(&tar)?;
        let records = members.iter().filter_map(|member| member.extended.as_ref());
        let weight = members.len() + records.map(|(_, records)| records.len()).sum::<usize>();
        if best.as_ref().is_none_or(|(heaviest, _)| weight > *heaviest) {
            best = Some((weight, tar));
        }
    }
    Ok(best.map(|(_, tar)| tar))
}

/// Compares our tar of `sources` with the reference's.
pub(crate) fn compare(
    reference: &[u8],
    ours: &[u8],
    sources: &[Source],
    differences: &BTreeSet<Difference>,
) -> Check<Outcome> {
    if reference == ours {
        return Ok(Outcome::Matches);
    }
    let mut members = [tarball::parse(reference)?, tarball::parse(ours)?];
    if differences.is_empty() {
        members_are_same(&members)?;
        return Err("the tars differ only in their layout (order of records, padding)".to_owned());
    }
    let [theirs, ours] = &mut members;
    if differences.contains(&Difference::LinkedDirectory) {
        remove_linked_directories(theirs, ours)?;
    }
    if differences.contains(&Difference::EarlyAlternate) {
        ours.retain(|member| {
            let is_known = theirs.iter().any(|other| other.name == member.name);
            is_known || !is_stream_of_a_source(member, sources)
        });
    }
    for member in &mut *ours {
        member.remove_records(|key| key.starts_with(VENDOR));
    }
    for source in sources {
        let is_of = |member: &Member| {
            let rest = member.name.strip_prefix(source.entry.path.as_bytes());
            rest.is_some_and(|rest| matches!(rest, [] | [b':', ..]))
        };
        for member in theirs.iter_mut().filter(|member| is_of(member)) {
            remove_differences(source, member, false)?;
        }
        for member in ours.iter_mut().filter(|member| is_of(member)) {
            remove_differences(source, member, true)?;
        }
    }
    members_are_same(&members)?;
    Ok(differences.clone().into())
}

/// Removes times that the reference cannot represent, and targets that it derives from the wrong
/// name; checks that the times in our member are correct.
fn remove_differences(source: &Source, member: &mut Member, is_ours: bool) -> Check {
    for (key, filetime) in TIMES.into_iter().zip(times(&source.entry.basic_info)) {
        if is_counted(filetime) {
            continue;
        }
        // Alternate data streams have no creation time.
        if let Some(record) = member.record(key).filter(|_| is_ours) {
            let (record, exact) = (String::from_utf8_lossy(record), time::to_pax(filetime));
            same(key, &exact, &record.into_owned())?;
        }
        member.remove_records(|record| record == key.as_bytes());
        if key == "mtime" {
            member.clear_field(MODIFIED);
        }
    }
    let reparse = source
        .meaning
        .as_ref()
        .ok()
        .and_then(|meaning| meaning.reparse.as_deref());
    if reparse.is_some_and(|buffer| !print_name_decides(buffer)) {
        member.remove_records(|record| record == b"linkpath");
        member.clear_field(LINK_NAME);
    }
    Ok(())
}

/// Returns whether the target of a link is its print name, as in the reference.
fn print_name_decides(buffer: &[u8]) -> bool {
    let Ok(point) = ReparsePoint::decode(buffer) else {
        return true;
    };
    let print_name = match &point {
        ReparsePoint::Symlink(link) => &link.print_name,
        ReparsePoint::MountPoint(link) => &link.print_name,
        ReparsePoint::Other { .. } => return true,
    };
    point.target() == Some(ntmeta::wide::to_wtf8(print_name))
}

fn is_stream_of_a_source(member: &Member, sources: &[Source]) -> bool {
    sources.iter().any(|source| {
        let rest = member.name.strip_prefix(source.entry.path.as_bytes());
        let name = rest
            .and_then(|rest| rest.strip_prefix(b":"))
            .map(ntmeta::wide::from_wtf8);
        let alternates = source.meaning.as_ref().map(|meaning| &meaning.alternates);
        name.is_some_and(|name| {
            alternates.is_ok_and(|list| list.iter().any(|(known, _)| *known == name))
        })
    })
}

/// Removes directories that the reference writes as links; checks that ours are directories.
fn remove_linked_directories(theirs: &mut Vec<Member>, ours: &mut Vec<Member>) -> Check {
    let mut linked = Vec::new();
    theirs.retain(|member| {
        let is_directory = |other: &&Member| other.name == member.name && other.type_flag() == b'5';
        let is_linked = member.type_flag() == b'1' && ours.iter().any(|other| is_directory(&other));
        if is_linked {
            linked.push(member.name.clone());
        }
        !is_linked
    });
    ours.retain(|member| !linked.contains(&member.name));
    if linked.is_empty() {
        Err("no linked directory is a directory here".to_owned())
    } else {
        Ok(())
    }
}

fn members_are_same([theirs, ours]: &[Vec<Member>; 2]) -> Check {
    let names = |members: &[Member]| -> Vec<String> {
        members
            .iter()
            .map(|member| String::from_utf8_lossy(&member.name).into_owned())
            .collect()
    };
    same("the members", &names(theirs), &names(ours))?;
    for (theirs, ours) in theirs.iter().zip(ours) {
        let name = String::from_utf8_lossy(&ours.name);
        let at_name = |error| format!("member {name}: {error}");
        let text = |member: &Member| {
            member.extended.as_ref().map(|(name, records)| {
                let records = records
                    .iter()
                    .map(|(key, value)| format!("{}={}", key.escape_ascii(), value.escape_ascii()));
                (name.escape_ascii().to_string(), records.collect::<Vec<_>>())
            })
        };
        same("the extended header", &text(theirs), &text(ours)).map_err(at_name)?;
        let fields = |member: &Member| -> Vec<String> {
            let fields = member
                .header
                .split(|byte| *byte == 0)
                .filter(|field| !field.is_empty());
            fields
                .map(|field| field.escape_ascii().to_string())
                .collect()
        };
        same("the header", &fields(theirs), &fields(ours)).map_err(at_name)?;
        same("the header's layout", &theirs.header, &ours.header).map_err(at_name)?;
        same("the content", &theirs.content, &ours.content).map_err(at_name)?;
    }
    Ok(())
}
