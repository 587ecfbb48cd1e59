//! Extracts a file's data from its backup stream. Source: `WIN32_STREAM_ID` (`winbase.h`).

use std::io;

const DATA: u32 = 1;
const ALTERNATE_DATA: u32 = 4;
const SPARSE_BLOCK: u32 = 9;
/// Larger than anything in the tests.
const MAX_SIZE: usize = 1 << 30;

/// Returns the unnamed data.
pub(crate) fn data(mut stream: &[u8]) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    let mut of_unnamed = true;
    while !stream.is_empty() {
        let id = u32::from_le_bytes(take(&mut stream)?);
        let _attributes: [u8; 4] = take(&mut stream)?;
        let size = usize::try_from(u64::from_le_bytes(take(&mut stream)?)).map_err(bad)?;
        let name = u32::from_le_bytes(take(&mut stream)?) as usize;
        stream = stream.get(name..).ok_or_else(|| bad("name"))?;
        let (mut body, rest) = stream.split_at_checked(size).ok_or_else(|| bad("body"))?;
        stream = rest;
        match id {
            DATA => {
                of_unnamed = true;
                data = body.to_vec();
            }
            ALTERNATE_DATA => of_unnamed = false,
            SPARSE_BLOCK => {
                let offset = usize::try_from(u64::from_le_bytes(take(&mut body)?)).map_err(bad)?;
                let end = offset.saturating_add(body.len());
                if of_unnamed && end > MAX_SIZE {
                    return Err(bad("sparse offset"));
                }
                if of_unnamed {
                    data.resize(data.len().max(end), 0);
                    data[offset..end].copy_from_slice(body);
                }
            }
            _ => {}
        }
    }
    Ok(data)
}

/// Returns a backup stream with nothing but data.
pub(crate) fn of_data(data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(data.len() + 20);
    stream.extend(DATA.to_le_bytes());
    stream.extend([0; 4]);
    stream.extend((data.len() as u64).to_le_bytes());
    stream.extend([0; 4]);
    stream.extend_from_slice(data);
    stream
}

fn take<const N: usize>(bytes: &mut &[u8]) -> io::Result<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk().ok_or_else(|| bad("end"))?;
    *bytes = rest;
    Ok(*first)
}

fn bad(what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the backup stream is malformed: {what}"))
}
