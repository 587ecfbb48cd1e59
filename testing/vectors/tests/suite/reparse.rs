//! `reparse.json`: link targets to buffers, and back.

use std::path::Path;

use ntmeta::{ReparseError, ReparsePoint, ReparseTag, wide};
use serde::Deserialize;
use vectors::blob::{Blob, hex, text_bytes, unhex};
use vectors::{Check, files, same};

use crate::case::{Case, Outcome};
use crate::differences::Difference;

#[derive(Deserialize)]
struct Reparse {
    encode: Vec<Encode>,
    decode: Vec<Decode>,
}

#[derive(Deserialize)]
struct Encode {
    target: String,
    target_hex: Option<String>,
    is_mount_point: bool,
    #[serde(default)]
    bytes_hex: Option<String>,
    len: u64,
    sha256: String,
    decoded_again: Decoded,
}

#[derive(Deserialize)]
struct Decode {
    note: String,
    #[serde(default)]
    bytes_hex: String,
    #[serde(flatten)]
    decoded: Decoded,
}

#[derive(Deserialize)]
struct Decoded {
    target: Option<String>,
    is_mount_point: bool,
    error: Option<String>,
    panic: Option<String>,
}

/// The positions of the parts of a buffer.
const SUBSTITUTE_NAME: usize = 8;
const PRINT_NAME: usize = 12;
const FLAGS: std::ops::Range<usize> = 16..20;
const RELATIVE: u8 = 1;
/// The longest data of a buffer: its length has 16 bits and follows a header of 8 bytes.
const MAX_LEN: u64 = 8 + u16::MAX as u64;

pub(crate) fn cases(json: &Path) -> Check<Vec<Case>> {
    let Some(vectors) = files::load_optional::<Reparse>(json)? else {
        return Ok(Vec::new());
    };
    let encode = vectors.encode.into_iter().map(|case| {
        let kind = if case.is_mount_point {
            "mount point"
        } else {
            "symlink"
        };
        let name = format!(
            "encode {kind} {}",
            case.target.chars().take(40).collect::<String>()
        );
        Case::new(name, move || encode(&case))
    });
    let decode = vectors
        .decode
        .into_iter()
        .map(|case| Case::new(format!("decode {}", case.note), move || decode(&case)));
    Ok(encode.chain(decode).collect())
}

fn encode(case: &Encode) -> Check<Outcome> {
    let target = text_bytes(&case.target, case.target_hex.as_deref())?;
    let encoded =
        ReparsePoint::from_target(&target, case.is_mount_point).and_then(|point| point.encode());
    if case.len > MAX_LEN {
        return match encoded {
            Err(ReparseError::TooLong { .. }) => Ok(Difference::ReparseTooLong.into()),
            other => Err(format!("expected the error TooLong, got {other:?}")),
        };
    }
    let bytes = encoded.map_err(|error| error.to_string())?;
    let expected = Blob {
        len: case.len,
        sha256: case.sha256.clone(),
        b64: None,
    };
    expected.check("the buffer", &bytes)?;
    if let Some(expected) = &case.bytes_hex {
        same("the buffer", expected, &hex(&bytes))?;
    }
    check_decoded(&case.decoded_again, &bytes)
}

fn decode(case: &Decode) -> Check<Outcome> {
    check_decoded(&case.decoded, &unhex(&case.bytes_hex)?)
}

fn check_decoded(expected: &Decoded, bytes: &[u8]) -> Check<Outcome> {
    let decoded = ReparsePoint::decode(bytes);
    if expected.panic.is_some() {
        return match decoded {
            Err(_) => Ok(Outcome::Matches),
            Ok(point) => Err(format!("expected an error, got {point:?}")),
        };
    }
    if expected.error.is_some() {
        return check_other_tag(bytes, decoded);
    }
    if decoded.is_err() && crate::source::has_odd_substitute_name(bytes) {
        return Ok(Difference::LinkNames.into());
    }
    let point = decoded.map_err(|error| format!("expected a link, got the error: {error}"))?;
    let is_mount_point = matches!(point, ReparsePoint::MountPoint(_));
    same(
        "whether it is a mount point",
        &expected.is_mount_point,
        &is_mount_point,
    )?;
    let target = point.target().ok_or("expected a link, got another tag")?;
    let target = String::from_utf16_lossy(&wide::from_wtf8(&target));
    let expected = expected
        .target
        .as_ref()
        .filter(|text| !text.starts_with("REPEAT:"));
    // Long targets are omitted: encoding them already yielded the expected bytes.
    match expected {
        None => Ok(Outcome::Matches),
        Some(expected) if *expected == target => Ok(Outcome::Matches),
        Some(expected) => {
            same("the print name", expected, &stored_name(bytes, PRINT_NAME))?;
            same(
                "the target by the substitute name",
                &substitute_target(bytes)?,
                &target,
            )?;
            Ok(Difference::ReparseNames.into())
        }
    }
}

/// Checks a tag that the reference does not know; we keep every complete buffer.
fn check_other_tag(bytes: &[u8], decoded: Result<ReparsePoint, ReparseError>) -> Check<Outcome> {
    let (tag, rest) = bytes.split_first_chunk().ok_or("the buffer has no tag")?;
    let tag = u32::from_le_bytes(*tag);
    if matches!(
        ReparseTag(tag),
        ReparseTag::SYMLINK | ReparseTag::MOUNT_POINT
    ) {
        return Err("the reference rejects a link, and no rule gives a reason".to_owned());
    }
    let announced = rest
        .first_chunk()
        .map_or(0, |len| usize::from(u16::from_le_bytes(*len)));
    let fixed = if tag & 0x8000_0000 != 0 { 8 } else { 24 };
    let is_whole = bytes.len() == fixed + announced;
    match decoded {
        Ok(point) if is_whole => {
            same("the tag", &tag, &point.tag().0)?;
            same("the buffer again", &Ok(bytes.to_vec()), &point.encode())?;
            Ok(Difference::ReparseTag.into())
        }
        Err(_) if !is_whole => Ok(Outcome::Matches),
        other => Err(format!("a buffer (complete: {is_whole}) yields {other:?}")),
    }
}

/// Returns the target expressed by the substitute name of a link.
fn substitute_target(bytes: &[u8]) -> Check<String> {
    let name = stored_name(bytes, SUBSTITUTE_NAME);
    let flags = bytes.get(FLAGS).map_or(0, |flags| flags[0]);
    if is_symlink(bytes) && flags & RELATIVE != 0 {
        return Ok(name);
    }
    let Some(path) = name.strip_prefix(r"\??\") else {
        return Ok(name);
    };
    Ok(match path.strip_prefix(r"UNC\") {
        Some(share) => format!(r"\\{share}"),
        None if path.chars().nth(1) == Some(':') => path.to_owned(),
        None => format!(r"\\?\{path}"),
    })
}

/// Reads one of a link's names, whose offset and length are at `fields`.
fn stored_name(bytes: &[u8], fields: usize) -> String {
    let word = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let names = if is_symlink(bytes) {
        FLAGS.end
    } else {
        FLAGS.start
    };
    let start = names + usize::from(word(fields).unwrap_or(0));
    let units = usize::from(word(fields + 2).unwrap_or(0)) / 2;
    let name: Vec<u16> = (0..units)
        .filter_map(|unit| word(start + 2 * unit))
        .collect();
    String::from_utf16_lossy(&name)
}

fn is_symlink(bytes: &[u8]) -> bool {
    bytes.starts_with(&0xA000_000C_u32.to_le_bytes())
}
