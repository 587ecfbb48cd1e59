//! The metadata of an entry, and the PAX records that store it.
//!
//! Source: go-winio `backuptar/tar.go` for the keys, POSIX.1-2001 "pax Header Block" for the format
//! of records and times.

/// The Unix epoch as a FILETIME: 100 ns ticks since 1601-01-01 UTC.
pub const UNIX_EPOCH: u64 = 116_444_736_000_000_000;

/// The metadata of one entry; a value that is `None` or empty gets no record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `FILE_ATTRIBUTE_*` bits, `MSWINDOWS.fileattr`.
    pub attributes: Option<u32>,
    /// FILETIME, `LIBARCHIVE.creationtime`.
    pub creation_time: Option<u64>,
    /// FILETIME, `atime`.
    pub access_time: Option<u64>,
    /// FILETIME, the header's `mtime`; gets a record only if the header cannot hold it.
    pub write_time: Option<u64>,
    /// FILETIME, `ctime`.
    pub change_time: Option<u64>,
    /// Self-relative security descriptor, `MSWINDOWS.rawsd`.
    pub security_descriptor: Option<Vec<u8>>,
    /// Security descriptor as text, `MSWINDOWS.sd`, as in old layers.
    pub sddl: Option<String>,
    /// Extended attributes, name and value, `MSWINDOWS.xattr.NAME`.
    pub extended_attributes: Vec<(String, Vec<u8>)>,
    /// Additional records, key and value; they replace a record with the same key from above.
    pub records: Vec<(String, Vec<u8>)>,
}

impl Meta {
    /// Returns metadata with only the attributes set.
    pub fn with_attributes(attributes: u32) -> Self {
        Self {
            attributes: Some(attributes),
            ..Self::default()
        }
    }

    /// Sets all four times to one FILETIME.
    #[must_use]
    pub fn at(mut self, time: u64) -> Self {
        self.creation_time = Some(time);
        self.access_time = Some(time);
        self.write_time = Some(time);
        self.change_time = Some(time);
        self
    }

    /// Returns the part that the reference keeps for a hard link: everything except security and
    /// extended attributes.
    pub(crate) fn of_hard_link(&self) -> Self {
        Self {
            security_descriptor: None,
            sddl: None,
            extended_attributes: Vec::new(),
            ..self.clone()
        }
    }

    /// Returns the part that the reference writes for an alternate data stream: three times.
    pub(crate) fn of_stream(&self) -> Self {
        Self {
            attributes: None,
            creation_time: None,
            ..self.of_hard_link()
        }
    }

    /// Returns the records sorted by key, without `path`, `linkpath` and `size`.
    pub(crate) fn to_records(&self) -> Vec<(String, Vec<u8>)> {
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        let mut add = |key: &str, value: Vec<u8>| records.push((key.to_owned(), value));
        for (key, time) in [
            ("LIBARCHIVE.creationtime", self.creation_time),
            ("atime", self.access_time),
            ("ctime", self.change_time),
            (
                "mtime",
                self.write_time.filter(|&time| header_mtime(time).is_none()),
            ),
        ] {
            if let Some(time) = time {
                add(key, pax_time(time).into_bytes());
            }
        }
        if let Some(attributes) = self.attributes {
            add("MSWINDOWS.fileattr", attributes.to_string().into_bytes());
        }
        if let Some(descriptor) = &self.security_descriptor {
            add("MSWINDOWS.rawsd", base64(descriptor).into_bytes());
        }
        if let Some(sddl) = &self.sddl {
            add("MSWINDOWS.sd", sddl.clone().into_bytes());
        }
        for (name, value) in &self.extended_attributes {
            add(
                &format!("MSWINDOWS.xattr.{name}"),
                base64(value).into_bytes(),
            );
        }
        for (key, value) in &self.records {
            records.retain(|(other, _)| other != key);
            records.push((key.clone(), value.clone()));
        }
        records.sort();
        records
    }

    /// Returns the seconds for the header's `mtime` field: 0 if the field cannot hold the time.
    pub(crate) fn mtime_field(&self) -> u64 {
        let Some(time) = self.write_time else {
            return 0;
        };
        // The reference writes whole seconds into the field even if a record holds the fraction.
        let seconds = time.saturating_sub(UNIX_EPOCH) / 10_000_000;
        if seconds >> 33 == 0 { seconds } else { 0 }
    }
}

/// Returns the seconds since the Unix epoch if the 11 octal digits of a header can represent the
/// FILETIME exactly.
fn header_mtime(time: u64) -> Option<u64> {
    let ticks = time.checked_sub(UNIX_EPOCH)?;
    (ticks % 10_000_000 == 0 && (ticks / 10_000_000) >> 33 == 0).then_some(ticks / 10_000_000)
}

/// Formats a FILETIME as a PAX time: seconds since the Unix epoch with up to seven fractional
/// digits and no trailing zero.
pub fn pax_time(time: u64) -> String {
    let sign = if time < UNIX_EPOCH { "-" } else { "" };
    let ticks = time.abs_diff(UNIX_EPOCH);
    let text = format!("{sign}{}.{:07}", ticks / 10_000_000, ticks % 10_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats one PAX record, `LENGTH KEY=VALUE` and a newline; the decimal length includes its own
/// digits.
pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

/// Encodes standard base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = (bits >> (18 - 6 * digit)) & 0x3f;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_every_tick_but_no_trailing_zero() {
        for (time, text) in [
            (UNIX_EPOCH, "0"),
            (UNIX_EPOCH + 1, "0.0000001"),
            (UNIX_EPOCH - 1, "-0.0000001"),
            (UNIX_EPOCH + 15_000_000, "1.5"),
            (UNIX_EPOCH + 1_000_000_000, "100"),
            (0, "-11644473600"),
        ] {
            assert_eq!(pax_time(time), text);
        }
    }

    #[test]
    fn the_length_of_a_record_includes_its_own_digits() {
        assert_eq!(pax_record("a", b"b"), b"6 a=b\n");
        assert_eq!(pax_record("abc", b"defg"), b"12 abc=defg\n");
        // The third digit makes the record itself longer, so no record has 100 bytes.
        assert!(pax_record("path", &[b'x'; 90]).starts_with(b"99 "));
        assert!(pax_record("path", &[b'x'; 91]).starts_with(b"101 "));
    }

    #[test]
    fn base64_pads_to_four() {
        for (data, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(data.as_bytes()), text);
        }
    }

    #[test]
    fn a_whole_second_needs_no_mtime_record() {
        let has_record = |time| {
            let meta = Meta {
                write_time: Some(time),
                ..Meta::default()
            };
            (!meta.to_records().is_empty(), meta.mtime_field())
        };
        assert_eq!(has_record(UNIX_EPOCH + 50_000_000), (false, 5));
        assert_eq!(has_record(UNIX_EPOCH + 50_000_001), (true, 5));
        assert_eq!(has_record(UNIX_EPOCH - 50_000_000), (true, 0));
    }
}
