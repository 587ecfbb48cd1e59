//! `BackupRead` and `BackupWrite`: converts an object to a backup stream and back.
//!
//! The order of the streams is the one that go-winio's tar converter expects of live files:
//! security and reparse data before the data, extended attributes and alternate data streams after
//! it; tests can choose another order. An empty file has no data stream. Sparse files come in the
//! shapes listed in go-winio's comment on sparse files. An object whose descriptor was never
//! restored has none (Windows would return the inherited one).
//!
//! Source: the Microsoft pages on `BackupRead` and `BackupWrite`; go-winio `backuptar/tar.go`.

use std::io::Write;

use ntmeta::{
    BackupStreamDecoder, BackupStreamWriter, FileAttributes, StreamAttributes, StreamEvent,
    StreamHeader, StreamId, wide,
};
use wclayer::volume::Scope;

use crate::code::Code;
use crate::disk::Object;

/// The order in which `BackupRead` returns the streams of an object by default.
pub const USUAL_ORDER: [StreamId; 8] = [
    StreamId::SECURITY_DATA,
    StreamId::REPARSE_DATA,
    StreamId::DATA,
    StreamId::EA_DATA,
    StreamId::ALTERNATE_DATA,
    StreamId::OBJECT_ID,
    StreamId::PROPERTY_DATA,
    StreamId::TXFS_DATA,
];

/// Returns the complete backup stream of an object.
pub(crate) fn compose(object: &Object, scope: Scope, order: &[StreamId]) -> Vec<u8> {
    let mut out = BackupStreamWriter::new(Vec::new());
    for id in order {
        match *id {
            StreamId::SECURITY_DATA if scope == Scope::WithSecurity => {
                let attributes = StreamAttributes::CONTAINS_SECURITY;
                put_unless_empty(&mut out, *id, attributes, &object.security);
            }
            StreamId::SECURITY_DATA => {}
            StreamId::REPARSE_DATA => {
                let reparse = object.reparse.as_deref().unwrap_or_default();
                put_unless_empty(&mut out, *id, StreamAttributes::empty(), reparse);
            }
            StreamId::EA_DATA => {
                let bytes = &object.extended_attributes;
                put_unless_empty(&mut out, *id, StreamAttributes::empty(), bytes);
            }
            StreamId::DATA => put_data(&mut out, object),
            StreamId::ALTERNATE_DATA => {
                for (name, data) in &object.streams {
                    let name = wide::from_wtf8(name.as_bytes());
                    let header = StreamHeader::alternate_data(&name, data.len() as u64);
                    put(&mut out, &header, data);
                }
            }
            id => {
                for (_, bytes) in object.others.iter().filter(|(other, _)| *other == id.0) {
                    put_unless_empty(&mut out, id, StreamAttributes::empty(), bytes);
                }
            }
        }
    }
    out.finish()
        .expect("every body has the length given in its header")
}

fn put_unless_empty(
    out: &mut BackupStreamWriter<Vec<u8>>,
    id: StreamId,
    attributes: StreamAttributes,
    body: &[u8],
) {
    if !body.is_empty() {
        let header = StreamHeader {
            attributes,
            ..StreamHeader::new(id, body.len() as u64)
        };
        put(out, &header, body);
    }
}

fn put_data(out: &mut BackupStreamWriter<Vec<u8>>, object: &Object) {
    let size = object.data.len() as u64;
    let Some(ranges) = &object.ranges else {
        return put_unless_empty(out, StreamId::DATA, StreamAttributes::empty(), &object.data);
    };
    if size == 0 {
        return;
    }
    if ranges[..] == [(0, size)] {
        let header = StreamHeader {
            attributes: StreamAttributes::SPARSE,
            ..StreamHeader::new(StreamId::DATA, size)
        };
        return put(out, &header, &object.data);
    }
    let header = StreamHeader {
        attributes: StreamAttributes::SPARSE,
        ..StreamHeader::new(StreamId::DATA, 0)
    };
    put(out, &header, &[]);
    for &(offset, length) in ranges {
        let header = StreamHeader::sparse_block(offset as i64, length);
        put(
            out,
            &header,
            &object.data[offset as usize..(offset + length) as usize],
        );
    }
    put(out, &StreamHeader::sparse_block(size as i64, 0), &[]);
}

fn put(out: &mut BackupStreamWriter<Vec<u8>>, header: &StreamHeader, body: &[u8]) {
    out.begin(header).expect("the header is well-formed");
    out.write_all(body).expect("writing to memory cannot fail");
}

/// Accepts a backup stream in pieces and applies it to an object.
#[derive(Debug, Default)]
pub(crate) struct Restorer {
    decoder: BackupStreamDecoder,
    into: Target,
}

/// The destination of the current stream's body.
#[derive(Debug, Default)]
enum Target {
    #[default]
    Nowhere,
    Data(usize),
    Security,
    ExtendedAttributes,
    Reparse,
    Stream(usize),
    Other(usize),
}

impl Restorer {
    /// Accepts the next bytes.
    pub(crate) fn write(
        &mut self,
        object: &mut Object,
        mut bytes: &[u8],
        scope: Scope,
    ) -> Result<(), Code> {
        loop {
            match self.decoder.decode(&mut bytes) {
                Err(_) => return Err(Code::INVALID_DATA),
                Ok(None) => return Ok(()),
                Ok(Some(StreamEvent::Header(header))) => {
                    self.into = begin(object, &header, scope)?;
                }
                Ok(Some(StreamEvent::Body(body))) => self.put(object, body),
            }
        }
    }

    /// Returns whether the stream may end here.
    pub(crate) fn is_complete(&self) -> bool {
        self.decoder.finish().is_ok()
    }

    fn put(&mut self, object: &mut Object, body: &[u8]) {
        match &mut self.into {
            Target::Nowhere => {}
            Target::Data(at) => {
                let end = *at + body.len();
                if object.data.len() < end {
                    object.data.resize(end, 0);
                }
                object.data[*at..end].copy_from_slice(body);
                *at = end;
            }
            Target::Security => object.security.extend_from_slice(body),
            Target::ExtendedAttributes => object.extended_attributes.extend_from_slice(body),
            Target::Reparse => object
                .reparse
                .get_or_insert_default()
                .extend_from_slice(body),
            Target::Stream(at) => object.streams[*at].1.extend_from_slice(body),
            Target::Other(at) => object.others[*at].1.extend_from_slice(body),
        }
    }
}

fn begin(object: &mut Object, header: &StreamHeader, scope: Scope) -> Result<Target, Code> {
    Ok(match header.id {
        StreamId::DATA => {
            if object.is_directory() && header.size > 0 {
                return Err(Code::ACCESS_DENIED);
            }
            object.data.clear();
            object.ranges = None;
            if header.attributes.contains(StreamAttributes::SPARSE) {
                object.info.attributes |= FileAttributes::SPARSE_FILE;
                let all = (header.size > 0).then_some((0, header.size));
                object.ranges = Some(all.into_iter().collect());
            }
            Target::Data(0)
        }
        StreamId::SPARSE_BLOCK => sparse_block(object, header)?,
        StreamId::SECURITY_DATA if scope == Scope::WithoutSecurity => Target::Nowhere,
        StreamId::SECURITY_DATA => {
            object.security.clear();
            Target::Security
        }
        StreamId::EA_DATA => {
            object.extended_attributes.clear();
            Target::ExtendedAttributes
        }
        StreamId::REPARSE_DATA => {
            if !object.children.is_empty() {
                return Err(Code::NOT_EMPTY);
            }
            object.info.attributes |= FileAttributes::REPARSE_POINT;
            object.reparse = Some(Vec::new());
            Target::Reparse
        }
        StreamId::ALTERNATE_DATA => {
            let name = header.stream_name().ok_or(Code::INVALID_DATA)?;
            let name = String::from_utf16_lossy(name);
            object.streams.retain(|(other, _)| *other != name);
            object.streams.push((name, Vec::new()));
            Target::Stream(object.streams.len() - 1)
        }
        StreamId::LINK => Target::Nowhere,
        StreamId::OBJECT_ID | StreamId::PROPERTY_DATA | StreamId::TXFS_DATA => {
            object.others.push((header.id.0, Vec::new()));
            Target::Other(object.others.len() - 1)
        }
        _ => return Err(Code::INVALID_DATA),
    })
}

/// Far above the sizes in tests: a wrong offset must not exhaust the memory of the test.
const LARGEST: u64 = 1 << 30;

fn sparse_block(object: &mut Object, header: &StreamHeader) -> Result<Target, Code> {
    let offset = header
        .sparse_offset
        .and_then(|offset| u64::try_from(offset).ok());
    let offset = offset.ok_or(Code::INVALID_PARAMETER)?;
    let end = offset.saturating_add(header.size);
    if end > LARGEST {
        return Err(Code(112));
    }
    object.info.attributes |= FileAttributes::SPARSE_FILE;
    if object.data.len() < end as usize {
        object.data.resize(end as usize, 0);
    }
    let ranges = object.ranges.get_or_insert_default();
    if header.size > 0 {
        ranges.push((offset, header.size));
    }
    Ok(Target::Data(offset as usize))
}

/// Applies a complete backup stream to an object that only has times and attributes so far.
pub(crate) fn restore(object: &mut Object, bytes: &[u8], scope: Scope) -> Result<(), Code> {
    let mut restorer = Restorer::default();
    restorer.write(object, bytes, scope)?;
    if restorer.is_complete() {
        Ok(())
    } else {
        Err(Code::INVALID_DATA)
    }
}
