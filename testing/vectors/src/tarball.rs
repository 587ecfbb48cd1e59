//! Reads and writes tars of the plain kind used for layers, without the code under test.

use std::collections::BTreeMap;

use crate::Check;

const BLOCK: usize = 512;

/// A member of a tar, including the extended header before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name from the extended header, otherwise from the header.
    pub name: Vec<u8>,
    /// The name of the extended header itself, and its records.
    pub extended: Option<(Vec<u8>, Records)>,
    /// The header block.
    pub header: Vec<u8>,
    /// The content.
    pub content: Vec<u8>,
}

/// The records of an extended header.
pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

impl Member {
    /// Returns the type byte.
    pub fn type_flag(&self) -> u8 {
        self.header[156]
    }

    /// Returns the value of a record.
    pub fn record(&self, key: &str) -> Option<&[u8]> {
        let (_, records) = self.extended.as_ref()?;
        records.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// Removes the records whose keys match `unwanted`, and the extended header if none remain.
    /// Returns whether any were removed.
    pub fn remove_records(&mut self, unwanted: impl Fn(&[u8]) -> bool) -> bool {
        let Some((_, records)) = &mut self.extended else {
            return false;
        };
        let before = records.len();
        records.retain(|key, _| !unwanted(key));
        let removed = records.len() < before;
        if records.is_empty() {
            self.extended = None;
        }
        removed
    }

    /// Sets the octal field at `range` of the header to zero, and the checksum to match.
    pub fn clear_field(&mut self, range: std::ops::Range<usize>) {
        self.header[range].fill(0);
        seal(&mut self.header);
    }
}

/// The position of the modification time in the header.
pub const MODIFIED: std::ops::Range<usize> = 136..148;
/// The position of the link target in the header.
pub const LINK_NAME: std::ops::Range<usize> = 157..257;

/// Parses a tar that ends in two blocks of zeros with nothing after them.
///
/// # Errors
///
/// Fails if the tar is malformed.
pub fn parse(mut bytes: &[u8]) -> Check<Vec<Member>> {
    let mut members = Vec::new();
    let mut extended = None;
    loop {
        let (header, rest) = bytes.split_at_checked(BLOCK).ok_or("the tar has no end")?;
        if header.iter().all(|byte| *byte == 0) {
            let end = rest.len() == BLOCK && rest.iter().all(|byte| *byte == 0);
            return if end && extended.is_none() {
                Ok(members)
            } else {
                Err("the tar does not end in two blocks of zeros".to_owned())
            };
        }
        let mut sealed = header.to_vec();
        seal(&mut sealed);
        if sealed != header {
            return Err("a header's checksum is wrong".to_owned());
        }
        let size = octal(&header[124..136])?;
        let content = rest.get(..size).ok_or("a member is truncated")?.to_vec();
        bytes = rest
            .get(size.next_multiple_of(BLOCK)..)
            .ok_or("a member's padding is truncated")?;
        let name = field_name(header);
        if header[156] == b'x' {
            extended = Some((name, records(&content)?));
            continue;
        }
        let extended = extended.take();
        let path = extended
            .as_ref()
            .and_then(|(_, records)| records.get(&b"path"[..]));
        let name = path.cloned().unwrap_or(name);
        members.push(Member {
            name,
            extended,
            header: header.to_vec(),
            content,
        });
    }
}

fn field_name(header: &[u8]) -> Vec<u8> {
    let until_nul = |field: &[u8]| {
        field
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    let (name, prefix) = (until_nul(&header[..100]), until_nul(&header[345..500]));
    if prefix.is_empty() {
        name
    } else {
        [&prefix[..], b"/", &name].concat()
    }
}

fn octal(field: &[u8]) -> Check<usize> {
    let text = String::from_utf8_lossy(field);
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8)
        .map_err(|error| format!("`{text}` is not octal: {error}"))
}

fn records(mut bytes: &[u8]) -> Check<Records> {
    let mut records = BTreeMap::new();
    while !bytes.is_empty() {
        let record = (|| {
            let space = bytes.iter().position(|byte| *byte == b' ')?;
            let len = std::str::from_utf8(&bytes[..space])
                .ok()?
                .parse::<usize>()
                .ok()?;
            let (record, rest) = bytes.split_at_checked(len)?;
            let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            Some((
                record[..equals].to_vec(),
                record[equals + 1..].to_vec(),
                rest,
            ))
        })();
        let (key, value, rest) = record.ok_or("an extended header is malformed")?;
        bytes = rest;
        records.insert(key, value);
    }
    Ok(records)
}

/// Returns whether any header of a tar has a mode, owner or device that is not a number, or an
/// extended header has such an owner. Go's reader rejects these tars.
pub fn has_odd_numbers(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_at_checked(BLOCK) {
        let fields: &[std::ops::Range<usize>] = match header[257..].starts_with(b"ustar") {
            true => &[100..108, 108..116, 116..124, 329..337, 337..345],
            false => &[100..108, 108..116, 116..124],
        };
        if fields
            .iter()
            .any(|field| !is_number(&header[field.clone()]))
        {
            return true;
        }
        let Ok(size) = octal(&header[124..136]) else {
            return false;
        };
        let content = rest.get(..size).unwrap_or_default();
        if matches!(header[156], b'x' | b'g') && has_odd_owner(content) {
            return true;
        }
        bytes = size
            .checked_next_multiple_of(BLOCK)
            .and_then(|size| rest.get(size..))
            .unwrap_or_default();
    }
    false
}

fn is_number(field: &[u8]) -> bool {
    let text = String::from_utf8_lossy(field);
    let digits = text.trim_matches(['\0', ' ']).split('\0').next();
    let digits = digits.unwrap_or_default();
    field[0] & 0x80 != 0 || digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit))
}

fn has_odd_owner(content: &[u8]) -> bool {
    let Ok(records) = records(content) else {
        return false;
    };
    [&b"uid"[..], b"gid"].iter().any(|key| {
        let value = records
            .get(*key)
            .map(|value| String::from_utf8_lossy(value));
        value.is_some_and(|text| !text.is_empty() && text.parse::<i64>().is_err())
    })
}

/// Builds a tar of one empty member `Files/x`, with the given type and records, last modified one
/// second after 1970.
pub fn with_records(type_flag: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    if !records.is_empty() {
        let text: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        tar.extend(header("x", b'x', text.len(), 0));
        tar.extend(&text);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.extend(header("Files/x", type_flag, 0, 1));
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest..)
        .find(|len| len.to_string().len() + rest == *len)
        .unwrap_or(rest);
    format!("{len} {key}={value}\n").into_bytes()
}

fn header(name: &str, type_flag: u8, size: usize, modified: u64) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    let mut put = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, "0000644\x000000000\x000000000\x00");
    put(124, &format!("{size:011o}\x00{modified:011o}\x00"));
    put(257, "ustar\x0000");
    if type_flag == b'2' {
        put(LINK_NAME.start, "target");
    }
    header[156] = type_flag;
    seal(&mut header);
    header
}

/// Writes the checksum in the layout of Go and GNU tar.
fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_keeps_its_records() {
        for value in ["", "1", "y".repeat(89).as_str(), "y".repeat(94).as_str()] {
            let members = parse(&with_records(b'0', &[("key", value)])).expect("our own tar");
            assert_eq!(members.len(), 1);
            assert_eq!(members[0].name, b"Files/x");
            assert_eq!(members[0].record("key"), Some(value.as_bytes()));
        }
        let mut member = parse(&with_records(b'5', &[("a", "1")]))
            .expect("our own tar")
            .remove(0);
        assert!(member.remove_records(|key| key == b"a") && member.extended.is_none());
        assert_eq!(member.type_flag(), b'5');
    }

    #[test]
    fn odd_numbers_are_found_everywhere() {
        assert!(!has_odd_numbers(&with_records(
            b'0',
            &[("uid", "-1"), ("gid", "")]
        )));
        assert!(has_odd_numbers(&with_records(b'0', &[("uid", "x")])));
        assert!(has_odd_numbers(&with_records(
            b'0',
            &[("gid", "99999999999999999999")]
        )));
        for (at, text, is_odd) in [
            (100, "9", true),
            (108, "x", true),
            (116, "\u{80}", false),
            (329, "8", true),
            (337, " 7 ", false),
        ] {
            let mut tar = with_records(b'0', &[]);
            let text: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
            tar[at..at + text.len()].copy_from_slice(&text);
            assert_eq!(has_odd_numbers(&tar), is_odd, "{at}");
        }
    }

    #[test]
    fn damage_is_detected() {
        let tar = with_records(b'0', &[]);
        assert!(parse(&tar).is_ok());
        assert!(parse(&tar[..tar.len() - 1]).is_err());
        assert!(parse(&[&tar[..], &[0]].concat()).is_err());
        let mut broken = tar;
        broken[0] ^= 1;
        assert!(parse(&broken).is_err());
    }
}
