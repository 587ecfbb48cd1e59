//! PAX extended headers: `LENGTH KEY=VALUE\n` records, in both directions.
//!
//! Values are bytes and may contain newlines, so only the length determines where a record ends. The last
//! value of a repeated key is used. Records are written in the order of their keys.
//!
//! Sources: POSIX.1-2017 `pax`, "pax Extended Header"; Go `archive/tar/strconv.go`
//! (`parsePAXRecord`, `validPAXRecord`).

use std::ops::Range;

use crate::error::TarProblem;
use crate::steps;

/// The keys of a layer tar.
pub(crate) mod key {
    pub(crate) const PATH: &[u8] = b"path";
    pub(crate) const LINK_PATH: &[u8] = b"linkpath";
    pub(crate) const SIZE: &[u8] = b"size";
    pub(crate) const MODIFIED: &[u8] = b"mtime";
    pub(crate) const ACCESSED: &[u8] = b"atime";
    pub(crate) const CHANGED: &[u8] = b"ctime";
    pub(crate) const CREATED: &[u8] = b"LIBARCHIVE.creationtime";
    pub(crate) const FILE_ATTRIBUTES: &[u8] = b"MSWINDOWS.fileattr";
    pub(crate) const RAW_SECURITY: &[u8] = b"MSWINDOWS.rawsd";
    pub(crate) const SDDL: &[u8] = b"MSWINDOWS.sd";
    pub(crate) const MOUNT_POINT: &[u8] = b"MSWINDOWS.mountpoint";
    pub(crate) const EA_PREFIX: &[u8] = b"MSWINDOWS.xattr.";
    pub(crate) const GNU_SPARSE_MAJOR: &[u8] = b"GNU.sparse.major";
    pub(crate) const GNU_SPARSE_MINOR: &[u8] = b"GNU.sparse.minor";
    pub(crate) const GNU_SPARSE_NAME: &[u8] = b"GNU.sparse.name";
    pub(crate) const GNU_SPARSE_SIZE: &[u8] = b"GNU.sparse.realsize";
    /// The vendor records, see `docs/vendor-records.md`.
    pub(crate) const VENDOR_REPARSE: &[u8] = b"WCLAYER.reparse";
    pub(crate) const VENDOR_EA: &[u8] = b"WCLAYER.ea";
    pub(crate) const VENDOR_STREAMS: &[u8] = b"WCLAYER.streams";
    pub(crate) const VENDOR_SPARSE: &[u8] = b"WCLAYER.sparse";
}

/// The maximum size of an extended header in bytes, the same as in Go's reader.
pub(crate) const MAX_EXTENDED_HEADER: u64 = 1 << 20;
/// The maximum total size of the global headers of a tar, in bytes. They apply to every entry: otherwise
/// an entry of 512 bytes could take a megabyte in an index.
pub(crate) const MAX_GLOBAL_HEADERS: u64 = 8 << 10;

/// The records of one extended header.
#[derive(Debug, Clone, Default)]
pub struct PaxRecords {
    bytes: Vec<u8>,
    records: Vec<(Range<usize>, Range<usize>)>,
}

impl PaxRecords {
    /// Parses the content of an extended header.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, TarProblem> {
        let mut records = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (key, value, end) =
                record_at(&bytes, at).ok_or(TarProblem::PaxRecord { at: at as u64 })?;
            records.push((key, value));
            at = end;
        }
        Ok(Self { bytes, records })
    }

    /// Returns the value of `key`, which may be empty; the last one if it is repeated.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.records
            .iter()
            .rev()
            .inspect(|_| steps::add(1))
            .find(|(range, _)| &self.bytes[range.clone()] == key)
            .map(|(_, value)| &self.bytes[value.clone()])
    }

    /// Returns the value of a key for which an empty value means that the key is absent (POSIX).
    pub(crate) fn get_filled(&self, key: &[u8]) -> Option<&[u8]> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// Iterates over all records in the order of the header, including repeated keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.records
            .iter()
            .inspect(|_| steps::add(1))
            .map(|(key, value)| (&self.bytes[key.clone()], &self.bytes[value.clone()]))
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Inserts these records before those of `later`, which take precedence for equal keys.
    pub(crate) fn followed_by(&self, later: Self) -> Self {
        if self.is_empty() {
            return later;
        }
        let mut merged = self.clone();
        let shift = merged.bytes.len();
        merged.bytes.extend_from_slice(&later.bytes);
        merged
            .records
            .extend(later.records.into_iter().map(|(key, value)| {
                (
                    key.start + shift..key.end + shift,
                    value.start + shift..value.end + shift,
                )
            }));
        merged
    }

    /// Returns the number of bytes in memory.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Returns the key, the value and the end of the record at `start`; `None` if it is malformed.
fn record_at(bytes: &[u8], start: usize) -> Option<(Range<usize>, Range<usize>, usize)> {
    let space = start
        + bytes[start..]
            .iter()
            .take(20)
            .position(|byte| *byte == b' ')?;
    let digits = &bytes[start..space];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let end = start.checked_add(len)?;
    if end > bytes.len() || end <= space + 1 || bytes[end - 1] != b'\n' {
        return None;
    }
    let equals = space
        + 1
        + bytes[space + 1..end - 1]
            .iter()
            .position(|byte| *byte == b'=')?;
    let (key, value) = (space + 1..equals, equals + 1..end - 1);
    let with_nul = match &bytes[key.clone()] {
        b"" => return None,
        b"path" | b"linkpath" | b"uname" | b"gname" => &value,
        _ => &key,
    };
    if bytes[with_nul.clone()].contains(&0) {
        return None;
    }
    Some((key, value, end))
}

/// Records to write, sorted by key.
#[derive(Debug, Default)]
pub(crate) struct NewRecords(std::collections::BTreeMap<Vec<u8>, Vec<u8>>);

impl NewRecords {
    /// Sets `key`, which must not contain `=` or NUL.
    pub(crate) fn set(&mut self, key: &[u8], value: impl Into<Vec<u8>>) {
        self.0.insert(key.to_vec(), value.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Encodes all records, sorted by key.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.0 {
            let rest = key.len() + value.len() + 3;
            let mut len = rest + decimal_digits(rest);
            if decimal_digits(len) != decimal_digits(rest) {
                len = rest + decimal_digits(len);
            }
            bytes.extend_from_slice(format!("{len} ").as_bytes());
            bytes.extend_from_slice(key);
            bytes.push(b'=');
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }
}

fn decimal_digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_length_decides_where_a_record_ends() {
        let records = PaxRecords::parse(b"16 MSWI.a=1\n=2\n\n6 k=\xff\n".to_vec()).expect("legal");
        assert_eq!(records.get(b"MSWI.a"), Some(&b"1\n=2\n"[..]));
        assert_eq!(records.get(b"k"), Some(&b"\xff"[..]));
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let records = PaxRecords::parse(b"6 a=1\n6 a=2\n".to_vec()).expect("legal");
        assert_eq!(records.get(b"a"), Some(&b"2"[..]));
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [
            &b"6 a=1"[..],
            b"7 a=1\n",
            b"5 a=1\n",
            b"a=1\n",
            b"5 =1\n",
            b"4 a\n",
            b"0 \n",
            b"99999999999999999999 a=1\n",
            b"-6 a=1\n",
            b"12 path=a\0b\n",
        ] {
            assert!(PaxRecords::parse(bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed_again(
            pairs in proptest::collection::btree_map("[a-zA-Z.$]{1,120}", any::<Vec<u8>>(), 0..6)
        ) {
            let mut records = NewRecords::default();
            for (key, value) in &pairs {
                prop_assume!(!matches!(key.as_str(), "path" | "linkpath" | "uname" | "gname"));
                records.set(key.as_bytes(), value.clone());
            }
            let parsed = PaxRecords::parse(records.encode()).expect("our own records");
            let got: Vec<_> = parsed.iter().collect();
            let expected: Vec<_> =
                pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_slice())).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = PaxRecords::parse(bytes);
        }
    }
}
