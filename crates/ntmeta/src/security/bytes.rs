//! Bounds-checked reading: all access of this module's parsers to their buffers.

use super::SecurityError;

/// Returns `len` bytes of `data` at `offset`.
pub(super) fn take<'a>(
    data: &'a [u8],
    offset: usize,
    len: usize,
    structure: &'static str,
) -> Result<&'a [u8], SecurityError> {
    offset
        .checked_add(len)
        .and_then(|end| data.get(offset..end))
        .ok_or(SecurityError::Truncated {
            structure,
            offset,
            needed: len,
            available: data.len().saturating_sub(offset),
        })
}

/// Returns `N` bytes of `data` at `offset`.
pub(super) fn array<const N: usize>(
    data: &[u8],
    offset: usize,
    structure: &'static str,
) -> Result<[u8; N], SecurityError> {
    let mut bytes = [0; N];
    bytes.copy_from_slice(take(data, offset, N, structure)?);
    Ok(bytes)
}

/// Reads the little-endian `u16` at `offset` as a size.
pub(super) fn size_u16(
    data: &[u8],
    offset: usize,
    structure: &'static str,
) -> Result<usize, SecurityError> {
    Ok(usize::from(u16::from_le_bytes(array(
        data, offset, structure,
    )?)))
}

/// Reads the little-endian `u32` at `offset`.
pub(super) fn u32_at(
    data: &[u8],
    offset: usize,
    structure: &'static str,
) -> Result<u32, SecurityError> {
    Ok(u32::from_le_bytes(array(data, offset, structure)?))
}

/// Reads the little-endian `u32` at `offset` as a size or an offset.
pub(super) fn size_u32(
    data: &[u8],
    offset: usize,
    structure: &'static str,
) -> Result<usize, SecurityError> {
    // A value beyond the address space is beyond the end of every buffer too.
    Ok(usize::try_from(u32_at(data, offset, structure)?).unwrap_or(usize::MAX))
}

/// Converts a length to the `u32` of a size field.
pub(super) fn len_u32(len: usize, structure: &'static str) -> Result<u32, SecurityError> {
    u32::try_from(len).map_err(|_| SecurityError::TooLarge {
        structure,
        actual: len,
    })
}

/// Converts a length to the `u16` of a size field.
pub(super) fn len_u16(len: usize, structure: &'static str) -> Result<u16, SecurityError> {
    u16::try_from(len).map_err(|_| SecurityError::TooLarge {
        structure,
        actual: len,
    })
}

/// Appends zero bytes until the length is a multiple of 4.
pub(super) fn pad_to_4(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Decodes UTF-16LE text without NULs; rejects an odd byte count.
pub(super) fn utf16(
    bytes: &[u8],
    offset: usize,
    structure: &'static str,
) -> Result<String, SecurityError> {
    let error = SecurityError::InvalidString { structure, offset };
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return Err(error);
    };
    let units = pairs.iter().map(|&pair| u16::from_le_bytes(pair));
    let text: String = char::decode_utf16(units)
        .collect::<Result<_, _>>()
        .map_err(|_| error)?;
    if text.contains('\0') {
        Err(error)
    } else {
        Ok(text)
    }
}

/// Appends `text` as UTF-16LE without a terminator.
pub(super) fn push_utf16(out: &mut Vec<u8>, text: &str) {
    out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
}
