//! Writes a layer entry by entry, as a gzip-compressed layer tar: `write_layer [FILE]`.
//!
//! A portable layer, a transport folder and a layer of the Host Compute Service are written in the
//! same way: only the [`LayerWriter`] is another.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Write;

use wclayer::compression::Compression;
use wclayer::ntmeta::{
    BackupStreamWriter, FileAttributes, FileBasicInfo, FileTime, StreamHeader, StreamId,
};
use wclayer::tar::BlobWriter;
use wclayer::{FileEntry, LayerWriter, LinkEntry};

fn main() -> Result<(), Box<dyn Error>> {
    let output: Box<dyn Write> = match env::args().nth(1) {
        Some(file) => Box::new(File::create_new(file)?),
        None => Box::new(Vec::new()),
    };
    let mut layer = BlobWriter::new(output, Compression::Gzip.into())?;

    layer.add(&entry("Files", FileAttributes::DIRECTORY, 0)?)?;

    // The content of a file travels as its backup stream: here only the unnamed data.
    let content = b"Hello, Windows\r\n";
    let size = content.len() as u64;
    layer.add(&entry("Files/hello.txt", FileAttributes::ARCHIVE, size)?)?;
    let mut stream = BackupStreamWriter::new(Vec::new());
    stream.begin(&StreamHeader::new(StreamId::DATA, size))?;
    stream.write_all(content)?;
    layer.write(&stream.finish()?)?;

    layer.add_link(&LinkEntry {
        path: "Files/second-name.txt".parse()?,
        target: "Files/hello.txt".parse()?,
        basic_info: None,
    })?;

    // A file of a parent layer that is gone in this one.
    layer.remove(&"Files/old.txt".parse()?)?;

    let blob = layer.finish()?;
    println!("DiffID {}, {} bytes", blob.diff_id, blob.tar_size);
    println!("digest {}, {} bytes", blob.digest, blob.size);
    Ok(())
}

fn entry(path: &str, attributes: FileAttributes, size: u64) -> Result<FileEntry, Box<dyn Error>> {
    let time = FileTime::from_unix(1_700_000_000, 0)?;
    Ok(FileEntry {
        path: path.parse()?,
        basic_info: FileBasicInfo {
            creation_time: time,
            last_access_time: time,
            last_write_time: time,
            change_time: time,
            attributes,
        },
        size,
        metadata_first: true,
    })
}
