//! Parses backup streams without the code under test.
//!
//! [`split`] and [`join`] convert the bytes; [`Canonical`] is the meaning of a backup stream
//! regardless of the order of its parts, so that two of them can be compared.

use crate::Check;

/// `BACKUP_DATA` and the other IDs, by name.
pub mod id {
    /// The unnamed data.
    pub const DATA: u32 = 1;
    /// Extended attributes.
    pub const EA: u32 = 2;
    /// The security descriptor.
    pub const SECURITY: u32 = 3;
    /// A named stream.
    pub const ALTERNATE: u32 = 4;
    /// A reparse point.
    pub const REPARSE: u32 = 8;
    /// One range of a sparse stream.
    pub const SPARSE_BLOCK: u32 = 9;
}

/// The attribute of the streams of a sparse file.
pub const SPARSE: u32 = 8;
const HEADER: usize = 20;

/// One stream of a backup stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The ID.
    pub id: u32,
    /// The attributes.
    pub attributes: u32,
    /// The name, as stored.
    pub name: Vec<u16>,
    /// The offset of a sparse block.
    pub offset: Option<i64>,
    /// The body, without the sparse offset.
    pub body: Vec<u8>,
}

/// Splits a backup stream into streams.
///
/// # Errors
///
/// Fails if the input ends early or a header is invalid.
pub fn split(mut bytes: &[u8]) -> Check<Vec<Piece>> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let header = bytes
            .get(..HEADER)
            .ok_or("the backup stream ends inside a header")?;
        let word = |at: usize| {
            header[at..at + 4]
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        };
        let id = word(0);
        let size = u64::from(word(12)) << 32 | u64::from(word(8));
        let name_len = word(16) as usize;
        let name = bytes
            .get(HEADER..HEADER + name_len)
            .ok_or("a stream's name is truncated")?;
        if !name_len.is_multiple_of(2) {
            return Err("a stream's name is not UTF-16".to_owned());
        }
        let rest = &bytes[HEADER + name_len..];
        let size = usize::try_from(size).map_err(|_| "a stream has an absurd size")?;
        let body = rest.get(..size).ok_or("a stream is truncated")?;
        let (offset, body) = if id == id::SPARSE_BLOCK {
            let (offset, body) = body
                .split_first_chunk()
                .ok_or("a sparse block has no offset")?;
            (Some(i64::from_le_bytes(*offset)), body)
        } else {
            (None, body)
        };
        let name = name
            .chunks(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        pieces.push(Piece {
            id,
            attributes: word(4),
            name,
            offset,
            body: body.to_vec(),
        });
        bytes = &rest[size..];
    }
    Ok(pieces)
}

/// Joins streams into a backup stream.
pub fn join(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        let offset = piece.offset.map(i64::to_le_bytes);
        let size = piece.body.len() + offset.map_or(0, |offset| offset.len());
        bytes.extend_from_slice(&piece.id.to_le_bytes());
        bytes.extend_from_slice(&piece.attributes.to_le_bytes());
        bytes.extend_from_slice(&(size as u64).to_le_bytes());
        bytes.extend_from_slice(&(piece.name.len() as u32 * 2).to_le_bytes());
        bytes.extend(piece.name.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(offset.into_iter().flatten());
        bytes.extend_from_slice(&piece.body);
    }
    bytes
}

/// The meaning of a backup stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Canonical {
    /// The security descriptor; empty if there is none.
    pub security: Vec<u8>,
    /// The extended attributes, sorted by name; the last one of equal names.
    pub ea: Vec<Attribute>,
    /// The reparse point's buffer.
    pub reparse: Option<Vec<u8>>,
    /// All other streams, in order.
    pub others: Vec<Piece>,
    /// The unnamed data; no data stream is equivalent to an empty one.
    pub data: Data,
    /// The alternate data streams in order, by bare name in UTF-16.
    pub alternates: Vec<(Vec<u16>, Data)>,
}

/// An extended attribute: name, flags, value.
pub type Attribute = (Vec<u8>, u8, Vec<u8>);

/// The content of a data stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// Whether it belongs to a sparse file.
    pub sparse: bool,
    /// The size in bytes, including holes.
    pub size: u64,
    /// The allocated ranges: offsets and bytes.
    pub ranges: Vec<(u64, Vec<u8>)>,
}

impl Canonical {
    /// Determines the meaning of a backup stream.
    ///
    /// # Errors
    ///
    /// Fails if it is malformed or its streams do not fit together.
    pub fn of(bytes: &[u8]) -> Check<Self> {
        Self::of_pieces(&split(bytes)?)
    }

    /// Determines the meaning of the streams of a backup stream.
    ///
    /// # Errors
    ///
    /// Fails if they do not fit together.
    pub fn of_pieces(mut pieces: &[Piece]) -> Check<Self> {
        let mut canonical = Self::default();
        let mut has_data = false;
        while let Some((piece, rest)) = pieces.split_first() {
            pieces = rest;
            match piece.id {
                id::SECURITY => canonical.security.clone_from(&piece.body),
                id::EA => canonical.ea = sorted(extended_attributes(&piece.body)?),
                id::REPARSE => canonical.reparse = Some(piece.body.clone()),
                id::DATA if has_data => return Err("there are two unnamed data streams".into()),
                id::DATA => {
                    has_data = true;
                    (canonical.data, pieces) = data(piece, rest)?;
                }
                id::ALTERNATE => {
                    let content;
                    (content, pieces) = data(piece, rest)?;
                    canonical.alternates.push((bare_name(piece)?, content));
                }
                id::SPARSE_BLOCK => return Err("a sparse block does not belong to a stream".into()),
                _ => canonical.others.push(piece.clone()),
            }
        }
        Ok(canonical)
    }
}

fn bare_name(piece: &Piece) -> Check<Vec<u16>> {
    let name = piece.name.split(|unit| *unit == 0).next();
    let bare = name.and_then(|name| name.strip_prefix(&[u16::from(b':')]));
    let bare = bare.ok_or("an alternate stream's name has no colon")?;
    let suffix: Vec<u16> = ":$DATA".encode_utf16().collect();
    Ok(bare.strip_suffix(&suffix[..]).unwrap_or(bare).to_vec())
}

/// Takes the blocks of a sparse stream; returns the streams after them.
fn data<'a>(piece: &Piece, mut rest: &'a [Piece]) -> Check<(Data, &'a [Piece])> {
    let sparse = piece.attributes & SPARSE != 0;
    let size = piece.body.len() as u64;
    let mut data = Data {
        sparse,
        size,
        ranges: Vec::new(),
    };
    if size > 0 {
        data.ranges.push((0, piece.body.clone()));
    }
    if !sparse || size > 0 {
        return Ok((data, rest));
    }
    while let Some((block, after)) = rest.split_first() {
        let Some(offset) = block.offset else { break };
        let offset = u64::try_from(offset).map_err(|_| "a sparse block has a negative offset")?;
        if offset < data.size {
            return Err("sparse blocks are out of order".to_owned());
        }
        rest = after;
        data.size = offset + block.body.len() as u64;
        if block.body.is_empty() {
            return Ok((data, rest));
        }
        data.ranges.push((offset, block.body.clone()));
    }
    if data.ranges.is_empty() {
        Ok((data, rest))
    } else {
        Err("a sparse stream has no end".into())
    }
}

fn sorted(list: Vec<Attribute>) -> Vec<Attribute> {
    let mut kept: Vec<Attribute> = Vec::new();
    for attribute in list {
        kept.retain(|(name, ..)| *name != attribute.0);
        kept.push(attribute);
    }
    kept.sort();
    kept
}

/// Decodes a list of extended attributes.
///
/// # Errors
///
/// Fails if the list is malformed.
pub fn extended_attributes(mut bytes: &[u8]) -> Check<Vec<Attribute>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let fail = || "the list of extended attributes is malformed".to_owned();
        let (&[n0, n1, n2, n3, flags, name_len, v0, v1], rest) =
            bytes.split_first_chunk().ok_or_else(fail)?;
        let name = rest.get(..name_len.into()).ok_or_else(fail)?;
        let value_at = usize::from(name_len) + 1;
        let value_end = value_at + usize::from(u16::from_le_bytes([v0, v1]));
        let value = rest.get(value_at..value_end).ok_or_else(fail)?;
        list.push((name.to_vec(), flags, value.to_vec()));
        bytes = match u32::from_le_bytes([n0, n1, n2, n3]) as usize {
            0 => break,
            next if next < 8 + value_end => return Err(fail()),
            next => bytes.get(next..).ok_or_else(fail)?,
        };
    }
    Ok(list)
}

/// Returns whether an entry of a list of extended attributes points into itself.
pub fn overlaps(mut bytes: &[u8]) -> bool {
    while let Some((&[n0, n1, n2, n3, _, name_len, v0, v1], _)) = bytes.split_first_chunk() {
        let next = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
        let len = 9 + usize::from(name_len) + usize::from(u16::from_le_bytes([v0, v1]));
        if next != 0 && next < len {
            return true;
        }
        match bytes.get(next..) {
            Some(rest) if next > 0 => bytes = rest,
            _ => break,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: u32, attributes: u32, body: &[u8]) -> Piece {
        Piece {
            id,
            attributes,
            name: Vec::new(),
            offset: None,
            body: body.to_vec(),
        }
    }

    fn block(offset: i64, body: &[u8]) -> Piece {
        Piece {
            offset: Some(offset),
            ..piece(id::SPARSE_BLOCK, SPARSE, body)
        }
    }

    #[test]
    fn joined_streams_can_be_split() {
        let mut pieces = vec![piece(id::SECURITY, 0, b"sd"), piece(id::DATA, SPARSE, b"")];
        pieces.extend([block(4, b"xy"), block(9, b"")]);
        assert_eq!(split(&join(&pieces)), Ok(pieces.clone()));
        let data = Canonical::of_pieces(&pieces).map(|canonical| canonical.data);
        let expected = Data {
            sparse: true,
            size: 9,
            ranges: vec![(4, b"xy".to_vec())],
        };
        assert_eq!(data, Ok(expected));
    }

    #[test]
    fn streams_that_do_not_fit_together_are_rejected() {
        let sparse = || piece(id::DATA, SPARSE, b"");
        for pieces in [
            vec![piece(id::DATA, 0, b""), piece(id::DATA, 0, b"")],
            vec![piece(id::DATA, 0, b""), block(0, b"")],
            vec![sparse(), block(4, b"xy")],
            vec![sparse(), block(4, b"xy"), block(5, b"")],
            vec![sparse(), block(-1, b"")],
            vec![sparse(), block(1, b""), block(2, b"")],
        ] {
            assert!(Canonical::of_pieces(&pieces).is_err(), "{pieces:?}");
        }
        for bytes in [
            &[0; 19][..],
            &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(split(bytes).is_err());
        }
    }
}
