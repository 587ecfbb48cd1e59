//! Runs the library's tar reader and writer, in pieces of any size.

use std::io::{BufRead, BufReader};

use vectors::{Check, same};
use wclayer::tar::{TarLayerReader, TarLayerWriter, TarProblem};
use wclayer::{Entry, Error, FileEntry, LayerReader, LayerWriter, compression::Decoder};

/// The largest tar that is also read in tiny pieces.
const SMALL: usize = 128 * 1024;

/// The entries read from a layer, up to its end or an error.
pub(crate) struct Layer {
    pub(crate) entries: Vec<(Entry, Vec<u8>)>,
    pub(crate) error: Option<Error>,
}

/// Reads a layer tar, compressed or not; reads a small one a second time in tiny pieces.
pub(crate) fn read(bytes: &[u8]) -> Check<Layer> {
    let decode = || Decoder::new(bytes).map_err(|error| format!("cannot decompress: {error}"));
    let layer = read_in_pieces(BufReader::new(decode()?), 64 * 1024);
    if bytes.len() <= SMALL {
        let again = read_in_pieces(BufReader::with_capacity(13, decode()?), 7);
        same(
            "the layer, read in tiny pieces",
            &layer.entries,
            &again.entries,
        )?;
        let text = |error: &Option<Error>| error.as_ref().map(describe);
        same(
            "the error, read in tiny pieces",
            &text(&layer.error),
            &text(&again.error),
        )?;
    }
    Ok(layer)
}

fn read_in_pieces(input: impl BufRead, piece: usize) -> Layer {
    let mut reader = TarLayerReader::new(input);
    let mut layer = Layer {
        entries: Vec::new(),
        error: None,
    };
    layer.error = read_entries(&mut reader, &mut layer.entries, piece).err();
    layer
}

fn read_entries(
    reader: &mut impl LayerReader,
    entries: &mut Vec<(Entry, Vec<u8>)>,
    piece: usize,
) -> Result<(), Error> {
    let mut buffer = vec![0; piece];
    while let Some(entry) = reader.next_entry()? {
        entries.push((entry, Vec::new()));
        loop {
            let count = reader.read_stream(&mut buffer)?;
            if count == 0 {
                break;
            }
            if let Some((_, stream)) = entries.last_mut() {
                stream.extend_from_slice(&buffer[..count]);
            }
        }
    }
    Ok(())
}

/// Adds a file with its backup stream in pieces of `piece` bytes.
pub(crate) fn add(
    writer: &mut TarLayerWriter<Vec<u8>>,
    file: &FileEntry,
    stream: &[u8],
    piece: usize,
) -> Result<(), Error> {
    writer.add(file)?;
    stream
        .chunks(piece)
        .try_for_each(|piece| writer.write(piece))
}

/// Returns the problem of a tar that caused an error.
pub(crate) fn problem(error: &Error) -> Option<&TarProblem> {
    match error {
        Error::Tar(error) => Some(&error.problem),
        _ => None,
    }
}

/// Formats an error with its causes.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
