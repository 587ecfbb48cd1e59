//! Inputs that are not tars, recognised by their first bytes.
//!
//! This check only runs after the first header could not be read, so a tar is never mistaken for
//! something else.
//!
//! Sources: the signatures as file(1) lists them; image-spec `manifest.md`, `image-index.md`,
//! `config.md`; distribution-spec, "Error Codes"; [MS-VHDX] 2.2.1; "Virtual Hard Disk Image Format
//! Specification", "Hard Disk Footer Format".

mod image_archive;

use std::fmt;

use crate::compression::Compression;

pub use image_archive::ImageArchive;
pub(crate) use image_archive::Watch;

/// The kind of an input that is not a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// A file in a compression format that this crate does not read.
    Compressed(&'static str),
    /// A tar that was compressed twice, or other compressed data.
    CompressedAgain(Compression),
    /// An archive of a different kind.
    Archive(&'static str),
    /// The manifest of an image.
    Manifest,
    /// An image index, which lists one manifest per platform.
    ManifestIndex,
    /// The configuration of an image.
    ImageConfig,
    /// The `manifest.json` of a `docker save` archive.
    SavedManifest,
    /// The error response of a registry.
    RegistryError,
    /// Other JSON.
    Json,
    /// UTF-16 text, to which PowerShell converts binary output.
    Utf16,
    /// Text that starts with the UTF-8 byte order mark, to which PowerShell also converts binary output.
    Utf8Mark,
    /// A web page.
    WebPage,
    /// XML, such as the error of an object store.
    Xml,
    /// The pointer that Git LFS stores instead of a large file.
    LfsPointer,
    /// Other text.
    Text,
    /// A disk.
    Disk(&'static str),
    /// A program.
    Program(&'static str),
    /// A registry hive.
    Hive,
    /// A SQLite database, such as the index of a portable layer.
    Database,
    /// Something unknown.
    Unknown,
}

/// The first bytes of known formats.
const SIGNATURES: [(&[u8], Foreign); 31] = [
    (b"\xFD7zXZ\0", Foreign::Compressed("an xz file")),
    (b"BZh", Foreign::Compressed("a bzip2 file")),
    (b"\x5D\0\0", Foreign::Compressed("an lzma file")),
    (b"LZIP", Foreign::Compressed("an lzip file")),
    (b"\x04\x22\x4D\x18", Foreign::Compressed("an lz4 file")),
    (b"\x1F\x9D", Foreign::Compressed("a file of compress (.Z)")),
    (b"\x1F\x8B\x08", Foreign::CompressedAgain(Compression::Gzip)),
    (
        b"\x28\xB5\x2F\xFD",
        Foreign::CompressedAgain(Compression::Zstd),
    ),
    (b"PK\x03\x04", Foreign::Archive("a zip file")),
    (b"PK\x05\x06", Foreign::Archive("an empty zip file")),
    (b"7z\xBC\xAF\x27\x1C", Foreign::Archive("a 7z archive")),
    (b"Rar!\x1A\x07", Foreign::Archive("a RAR archive")),
    (b"MSCF\0\0\0\0", Foreign::Archive("a cabinet file")),
    (b"MSWIM\0\0\0", Foreign::Archive("a WIM image")),
    (b"070701", Foreign::Archive("a cpio archive")),
    (b"070702", Foreign::Archive("a cpio archive")),
    (b"070707", Foreign::Archive("a cpio archive")),
    (b"!<arch>\n", Foreign::Archive("an ar archive")),
    (b"vhdxfile", Foreign::Disk("a VHDX disk")),
    (b"conectix", Foreign::Disk("a VHD disk")),
    (b"QFI\xFB", Foreign::Disk("a qcow2 disk")),
    (b"KDMV", Foreign::Disk("a VMDK disk")),
    (b"hsqs", Foreign::Disk("a squashfs image")),
    (b"\x7FELF", Foreign::Program("a program for Linux (ELF)")),
    (b"regf", Foreign::Hive),
    (b"SQLite format 3\0", Foreign::Database),
    (b"\xFF\xFE", Foreign::Utf16),
    (b"\xFE\xFF", Foreign::Utf16),
    (b"\xEF\xBB\xBF", Foreign::Utf8Mark),
    (b"version https://git-lfs", Foreign::LfsPointer),
    (b"MZ", Foreign::Program("a program for Windows")),
];

impl Foreign {
    /// Recognises an input by its first bytes, which are not the header of a tar.
    pub(super) fn of(start: &[u8]) -> Self {
        let known = SIGNATURES
            .iter()
            .find(|(signature, _)| start.starts_with(signature));
        match known {
            Some((_, foreign)) => *foreign,
            // A zstd stream may start with a skippable frame.
            None if Compression::sniff(start) == Compression::Zstd => {
                Self::CompressedAgain(Compression::Zstd)
            }
            None if is_raw_disk(start) => Self::Disk("the image of a disk or volume"),
            None => Self::of_text(start),
        }
    }

    fn of_text(start: &[u8]) -> Self {
        // A sequence may be truncated at the end.
        let text = match std::str::from_utf8(start) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Self::Unknown,
        };
        let is_printed = |letter: char| !letter.is_control() || letter.is_ascii_whitespace();
        let text = text.trim_ascii_start();
        if text.is_empty() || !text.chars().all(is_printed) {
            return Self::Unknown;
        }
        let lower = text.to_ascii_lowercase();
        match lower.as_bytes()[0] {
            b'{' | b'[' => Self::of_json(text),
            b'<' if lower.contains("<html") || lower.starts_with("<!doctype html") => Self::WebPage,
            b'<' => Self::Xml,
            _ => Self::Text,
        }
    }

    /// Recognises a document of an image by its start.
    fn of_json(text: &str) -> Self {
        let has = |key: &str| text.contains(&format!("\"{key}\""));
        let is_of_type = |name: &str| text.contains(name);
        let array = text.starts_with('[');
        if array {
            return match has("RepoTags") || has("Layers") || has("Config") {
                true => Self::SavedManifest,
                false => Self::Json,
            };
        }
        if has("errors") && has("code") {
            Self::RegistryError
        } else if has("manifests")
            || is_of_type("vnd.oci.image.index")
            || is_of_type("distribution.manifest.list")
        {
            Self::ManifestIndex
        } else if has("schemaVersion") || has("layers") || is_of_type(".manifest.v") {
            Self::Manifest
        } else if has("rootfs") || has("architecture") || has("diff_ids") {
            Self::ImageConfig
        } else {
            Self::Json
        }
    }
}

/// Returns whether this is the first sector of a volume, or of a disk with partitions.
fn is_raw_disk(start: &[u8]) -> bool {
    let boot_sector = start.get(510..512) == Some(&b"\x55\xAA"[..]);
    boot_sector || start.get(3..11) == Some(&b"NTFS    "[..])
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CompressedAgain(method) => {
                return write!(f, "compressed twice, the second time with {method}");
            }
            Self::Compressed(name)
            | Self::Archive(name)
            | Self::Disk(name)
            | Self::Program(name) => name,
            Self::Manifest => "JSON, the manifest of an image",
            Self::ManifestIndex => "JSON, the index of an image's manifests",
            Self::ImageConfig => "JSON, the configuration of an image",
            Self::SavedManifest => "JSON, the `manifest.json` of an image archive",
            Self::RegistryError => "JSON, the error of a registry",
            Self::Json => "JSON",
            Self::Utf16 => "UTF-16 text",
            Self::Utf8Mark => "text with the mark of UTF-8",
            Self::WebPage => "a web page",
            Self::Xml => "XML",
            Self::LfsPointer => "a pointer of Git LFS",
            Self::Text => "text",
            Self::Hive => "a registry hive",
            Self::Database => "a SQLite database",
            Self::Unknown => "not of a kind that is known",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_known_by_their_first_bytes() {
        let mut disk = [0; 512];
        disk[510..].copy_from_slice(b"\x55\xAA");
        let cases: [(&[u8], Foreign); 28] = [
            (b"\xFD7zXZ\0\0\x04", Foreign::Compressed("an xz file")),
            (b"BZh91AY", Foreign::Compressed("a bzip2 file")),
            (b"\x5D\0\0\x80\0", Foreign::Compressed("an lzma file")),
            (b"PK\x03\x04\x14", Foreign::Archive("a zip file")),
            (b"7z\xBC\xAF\x27\x1C\0", Foreign::Archive("a 7z archive")),
            (b"MSWIM\0\0\0\xD0", Foreign::Archive("a WIM image")),
            (
                b"\x1F\x8B\x08\0",
                Foreign::CompressedAgain(Compression::Gzip),
            ),
            (
                b"\x28\xB5\x2F\xFD\x04",
                Foreign::CompressedAgain(Compression::Zstd),
            ),
            (
                b"\x50\x2A\x4D\x18\x04",
                Foreign::CompressedAgain(Compression::Zstd),
            ),
            (b"vhdxfile\x4D", Foreign::Disk("a VHDX disk")),
            (b"conectix\0", Foreign::Disk("a VHD disk")),
            (&disk, Foreign::Disk("the image of a disk or volume")),
            (b"MZ\x90\0", Foreign::Program("a program for Windows")),
            (b"\xFF\xFEu\0s\0", Foreign::Utf16),
            (b"\xEF\xBB\xBFFiles", Foreign::Utf8Mark),
            (b" \n<!DOCTYPE html><body>", Foreign::WebPage),
            (b"<html lang=en>", Foreign::WebPage),
            (b"<?xml version=\"1.0\"?><Error>", Foreign::Xml),
            (br#"{"schemaVersion": 2, "config": {"#, Foreign::Manifest),
            (
                br#"{"mediaType":"application/vnd.oci.image.index.v1+json","sch"#,
                Foreign::ManifestIndex,
            ),
            (
                br#"{"schemaVersion":2,"manifests":[{"#,
                Foreign::ManifestIndex,
            ),
            (
                br#"{"architecture":"amd64","config":{"Env"#,
                Foreign::ImageConfig,
            ),
            (
                br#"[{"Config":"a.json","RepoTags":null"#,
                Foreign::SavedManifest,
            ),
            (
                br#"{"errors":[{"code":"UNAUTHORIZED""#,
                Foreign::RegistryError,
            ),
            (br#"{"a":1}"#, Foreign::Json),
            ("Zugriff verweigert \u{fc}".as_bytes(), Foreign::Text),
            // A letter that is cut off at the end.
            (b"text \xC3", Foreign::Text),
            (b"\x01\x02\x03\xFF", Foreign::Unknown),
        ];
        for (start, foreign) in cases {
            let shown = String::from_utf8_lossy(start);
            assert_eq!(Foreign::of(start), foreign, "{shown}");
        }
        assert_eq!(Foreign::of(b""), Foreign::Unknown);
        assert_eq!(Foreign::of(&[0; 40]), Foreign::Unknown);
    }
}
