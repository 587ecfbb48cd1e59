//! [`Doubt`]: what other readers of tars refuse, or take otherwise than this one.
//!
//! None of it ends the reading of a tar; `validate` tells of it. Sources: Go `archive/tar/reader.go`
//! (`readHeader`, `mergePAX`) for the numbers that it refuses; POSIX.1-2017 `pax` for empty values.

use super::header::type_flag;
use super::pax::{PaxRecords, key};

/// What is doubtful about the headers of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// A field or record that is not a number. It is not needed here; Go's reader refuses the tar.
    Number {
        /// The name of the field or record.
        field: &'static str,
    },
    /// The headers can be read in two ways.
    TwoReadings(String),
}

/// Records that Go reads as numbers.
const NUMBERS: [(&[u8], &str); 2] = [(b"uid", "uid"), (b"gid", "gid")];
/// Records that say what a member is called, where it leads and how long it is.
const NAMING: [(&[u8], &str); 3] = [
    (key::PATH, "path"),
    (key::LINK_PATH, "linkpath"),
    (key::SIZE, "size"),
];

/// Looks for what is doubtful in the extended header of a member.
pub(super) fn of_records(records: &PaxRecords, doubts: &mut Vec<Doubt>) {
    for (key, field) in NUMBERS {
        let is_number = |value: &[u8]| {
            let text = std::str::from_utf8(value).ok();
            text.is_some_and(|text| text.parse::<i64>().is_ok())
        };
        if records
            .get_filled(key)
            .is_some_and(|value| !is_number(value))
        {
            doubts.push(Doubt::Number { field });
        }
    }
    for (key, name) in NAMING {
        if records.get(key).is_some_and(<[u8]>::is_empty) {
            doubts.push(Doubt::TwoReadings(format!(
                "the PAX record `{name}` is empty"
            )));
        }
    }
}

/// Looks for names in global headers, which most readers do not apply.
pub(super) fn of_global_records(records: &PaxRecords, doubts: &mut Vec<Doubt>) {
    for (key, name) in NAMING {
        if records.get_filled(key).is_some() {
            doubts.push(Doubt::TwoReadings(format!(
                "the record `{name}` of a global PAX header applies to it"
            )));
        }
    }
}

/// Compares a name in the way of GNU with one in the way of PAX; the first counts.
pub(super) fn of_names(
    what: &str,
    gnu: Option<&[u8]>,
    pax: Option<&[u8]>,
    doubts: &mut Vec<Doubt>,
) {
    if let (Some(gnu), Some(pax)) = (gnu, pax)
        && gnu != pax
    {
        let [gnu, pax] = [gnu, pax].map(ntmeta::wide::display);
        doubts.push(Doubt::TwoReadings(format!(
            "its {what} is `{gnu}` in a GNU header and `{pax}` in a PAX record"
        )));
    }
}

/// Looks for records of a sparse file that is none.
pub(super) fn of_sparse_records(records: &PaxRecords, doubts: &mut Vec<Doubt>) {
    let mut keys = records.iter().map(|(key, _)| key);
    if let Some(key) = keys.find(|key| key.starts_with(b"GNU.sparse.")) {
        let key = ntmeta::wide::display(key);
        doubts.push(Doubt::TwoReadings(format!(
            "it has the PAX record `{key}` and no map of a sparse file"
        )));
    }
}

/// Tells of bytes that are said to follow a header whose type has no content.
pub(super) fn of_content(type_flag: u8, size: u64, doubts: &mut Vec<Doubt>) {
    if size > 0 {
        let kind = kind_of(type_flag);
        doubts.push(Doubt::TwoReadings(format!(
            "it is {kind}, and its header says that {size} bytes follow"
        )));
    }
}

/// Says what a type without content is.
pub(super) fn kind_of(type_flag: u8) -> &'static str {
    match type_flag {
        type_flag::LINK => "a hard link",
        type_flag::SYMLINK => "a symbolic link",
        type_flag::DIRECTORY => "a directory",
        _ => "a device or FIFO",
    }
}
