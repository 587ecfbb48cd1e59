//! A small builder of layer tars. The one in `testing/` is not there when the tests of the published
//! package run.

use std::io::{self, Write};

const BLOCK: usize = 512;

/// The records of an entry, beside its attributes.
#[derive(Default)]
pub(super) struct Meta {
    pub(super) records: Vec<(String, Vec<u8>)>,
}

/// A layer tar under construction.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(b'5', path, "", &attributes(0x10), b"")
    }

    pub(super) fn file(&mut self, path: &str, meta: &Meta, content: &[u8]) -> io::Result<()> {
        let mut records = attributes(0x20);
        let more = meta.records.iter();
        records.extend(more.map(|(key, value)| (key.clone(), value.clone())));
        self.entry(b'0', path, "", &records, content)
    }

    pub(super) fn stream(&mut self, path: &str, name: &str, content: &[u8]) -> io::Result<()> {
        self.entry(b'0', &format!("{path}:{name}"), "", &[], content)
    }

    pub(super) fn hard_link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(b'1', path, target, &attributes(0x20), b"")
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(b'2', path, target, &attributes(0x20), b"")
    }

    pub(super) fn whiteout(&mut self, path: &str) -> io::Result<()> {
        let (directory, name) = path.rsplit_once('/').expect("a path below `Files`");
        let marker = format!("{directory}/.wh.{name}");
        self.entry(b'0', &marker, "", &[], b"")
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }

    /// Adds an entry; its names are always in the extended header, however short they are.
    fn entry(
        &mut self,
        type_flag: u8,
        path: &str,
        link: &str,
        records: &[(String, Vec<u8>)],
        content: &[u8],
    ) -> io::Result<()> {
        let mut pax = record("path", path.as_bytes());
        if !link.is_empty() {
            pax.extend(record("linkpath", link.as_bytes()));
        }
        for (key, value) in records {
            pax.extend(record(key, value));
        }
        self.member(b'x', &pax)?;
        self.member(type_flag, content)
    }

    fn member(&mut self, type_flag: u8, content: &[u8]) -> io::Result<()> {
        let mut header = [0; BLOCK];
        header[0] = b'x';
        write!(&mut header[124..136], "{:011o}", content.len())?;
        write!(&mut header[136..148], "{:011o}", 0)?;
        header[148..156].fill(b' ');
        header[156] = type_flag;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        write!(&mut header[148..155], "{sum:06o}\0")?;
        self.0.extend(header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }
}

fn attributes(attributes: u32) -> Vec<(String, Vec<u8>)> {
    let value = attributes.to_string().into_bytes();
    vec![("MSWINDOWS.fileattr".to_owned(), value)]
}

/// Makes a record of an extended header, which begins with its own length.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut len = rest.len();
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    [len.to_string().into_bytes(), rest].concat()
}
