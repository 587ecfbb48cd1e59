//! Shared by the fuzz targets: makes tars plausible, reads layers into memory and writes them back.

pub mod agree;

use std::io::{Cursor, Read};

use ntmeta::{BackupStreamReader, FileAttributes, StreamHeader, StreamId, ea};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::{Entry, LayerPath, LayerReader, LayerWriter, Result};

/// The size of a tar block in bytes.
const BLOCK: usize = 512;
/// The maximum of backup stream bytes that one input may expand to: holes make a small input large.
const LIMIT: usize = 4 << 20;
/// The size of the pieces in which backup streams are moved: not a power of two, for odd borders.
const PIECE: usize = 997;

/// The entries of a layer, each with its backup stream.
pub type Layer = Vec<(Entry, Vec<u8>)>;

/// Corrects the checksum of every block that looks like a header. Otherwise, nearly every mutation
/// of a tar would fail at its first header.
pub fn repair_checksums(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let (blocks, _) = tar.as_chunks_mut::<BLOCK>();
    for block in blocks
        .iter_mut()
        .filter(|block| block[257..262] == *b"ustar")
    {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

/// Returns one USTAR member of the given type with its content, padded.
pub fn member(name: &str, type_flag: u8, content: &[u8]) -> Vec<u8> {
    let mut tar = vec![0; BLOCK];
    tar[..name.len()].copy_from_slice(name.as_bytes());
    tar[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    tar[156] = type_flag;
    tar[257..265].copy_from_slice(b"ustar\x0000");
    let mut tar = repair_checksums(&tar);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    tar
}

/// Reads a whole layer tar; returns `Ok(None)` if it expands to more than the limit.
///
/// # Errors
///
/// Returns the errors of the reader.
pub fn read_layer(tar: &[u8]) -> Result<Option<Layer>> {
    let mut reader = TarLayerReader::new(Cursor::new(tar));
    let mut layer = Layer::new();
    let mut piece = [0; PIECE];
    let mut total = 0;
    while let Some(entry) = reader.next_entry()? {
        let mut stream = Vec::new();
        loop {
            let read = reader.read_stream(&mut piece)?;
            total += read;
            if total > LIMIT {
                return Ok(None);
            }
            if read == 0 {
                break;
            }
            stream.extend_from_slice(&piece[..read]);
        }
        layer.push((entry, stream));
    }
    Ok(Some(layer))
}

/// Writes a layer as a tar.
///
/// # Errors
///
/// Returns the errors of the writer.
pub fn write_layer(layer: &Layer) -> Result<Vec<u8>> {
    let mut writer = TarLayerWriter::new(Vec::new());
    for (entry, stream) in layer {
        match entry {
            Entry::File(file) => writer.add(file)?,
            Entry::Link(link) => writer.add_link(link)?,
            Entry::Removal(path) => writer.remove(path)?,
            Entry::Opaque(path) => writer.remove_contents(path)?,
        }
        for piece in stream.chunks(PIECE) {
            writer.write(piece)?;
        }
    }
    writer.finish()
}

/// Checks that a layer survives writing and reading.
///
/// # Panics
///
/// Panics if it does not.
pub fn check_round_trip(layer: &Layer) {
    let tar = match write_layer(layer) {
        Ok(tar) => tar,
        Err(_) if layer.iter().any(cannot_be) => return,
        Err(error) => panic!("cannot write what was read: {error:?}\n{layer:?}"),
    };
    let again = read_layer(&tar)
        .expect("our own output can be read")
        .expect("the same amount as before");
    assert_eq!(layer.len(), again.len());
    for ((entry, stream), (entry_again, stream_again)) in layer.iter().zip(&again) {
        assert_eq!(entry, entry_again);
        // Paths compare case-insensitively; here the spelling matters too.
        assert_eq!(entry.path().as_bytes(), entry_again.path().as_bytes());
        assert_eq!(streams(stream), streams(stream_again), "{entry:?}");
    }
}

/// Returns whether an entry can be read but not written: a name like that of a whiteout, which only
/// passes the reader with `\`, or a directory with data.
fn cannot_be((entry, stream): &(Entry, Vec<u8>)) -> bool {
    let reserved = |path: &LayerPath| path.components().any(|name| name.starts_with(b".wh."));
    let has_data = || {
        streams(stream)
            .iter()
            .any(|(header, _)| header.id == StreamId::DATA)
    };
    reserved(entry.path())
        || match entry {
            Entry::File(file) => {
                file.basic_info
                    .attributes
                    .contains(FileAttributes::DIRECTORY)
                    && has_data()
            }
            Entry::Link(link) => reserved(&link.target),
            Entry::Removal(_) | Entry::Opaque(_) => false,
        }
}

/// Splits a backup stream into the parts that a tar can express, which exclude the order of
/// extended attributes and the difference between empty data and no data.
fn streams(stream: &[u8]) -> Vec<(StreamHeader, Vec<u8>)> {
    let mut reader = BackupStreamReader::new(stream);
    let mut streams = Vec::new();
    while let Some(header) = reader
        .next_header()
        .expect("readers return complete streams")
    {
        let mut body = Vec::new();
        reader
            .read_to_end(&mut body)
            .expect("readers return complete streams");
        if header.id == StreamId::EA_DATA {
            let mut list = ea::decode_list(&body).expect("readers return valid lists");
            list.sort_by(|one, other| one.name.cmp(&other.name));
            body = ea::encode_list(&list).expect("it was a valid list");
        }
        if header != StreamHeader::new(StreamId::DATA, 0) {
            streams.push((header, body));
        }
    }
    streams
}
