//! `sddl.json`: security descriptors as text and as bytes.

use std::path::Path;

use ntmeta::security::{ControlFlags, SecurityDescriptor};
use serde::Deserialize;
use vectors::blob::{hex, unhex};
use vectors::{Check, files, same};

use crate::case::{Case, Outcome};
use crate::differences::Difference;

#[derive(Deserialize)]
struct Sddl {
    cases: Vec<Text>,
    to_sddl_small_buffers: Vec<SmallBuffer>,
}

#[derive(Deserialize)]
struct Text {
    sddl: String,
    accepted: bool,
    bytes_hex: Option<String>,
    back_to_sddl: Option<String>,
    r#use: String,
}

#[derive(Deserialize)]
struct SmallBuffer {
    #[serde(default)]
    bytes_hex: String,
    error: Option<String>,
}

/// The size of the self-relative header, in bytes.
const HEADER_SIZE: usize = 20;

pub(crate) fn cases(json: &Path) -> Check<Vec<Case>> {
    let Some(vectors) = files::load_optional::<Sddl>(json)? else {
        return Ok(Vec::new());
    };
    let texts = vectors.cases.into_iter().map(|case| {
        let name = case.sddl.chars().take(60).collect::<String>();
        Case::new(name, move || convert(&case))
    });
    let buffers = vectors.to_sddl_small_buffers.into_iter().map(|case| {
        Case::new(format!("buffer {}", case.bytes_hex), move || {
            small_buffer(&case)
        })
    });
    Ok(texts.chain(buffers).collect())
}

fn convert(case: &Text) -> Check<Outcome> {
    let bytes = case
        .bytes_hex
        .as_deref()
        .map(unhex)
        .transpose()?
        .filter(|bytes| !bytes.is_empty());
    let ours = SecurityDescriptor::from_sddl(&case.sddl);
    if case.r#use == "informative" {
        return unjudged(ours.ok(), bytes);
    }
    let bytes = match (case.accepted, bytes) {
        (true, Some(bytes)) => bytes,
        (false, _) => {
            return match ours {
                Err(_) => Ok(Outcome::Matches),
                Ok(descriptor) => Err(format!("expected an error, got {descriptor:?}")),
            };
        }
        (true, None) => return Err("the vector has no bytes".to_owned()),
    };
    let ours = ours.map_err(|error| format!("expected a descriptor, got the error: {error}"))?;
    let theirs = parse(&bytes)?;
    same_parts("Wine's bytes", &theirs, &ours)?;
    let of_sacl = ControlFlags::SACL_PROTECTED
        | ControlFlags::SACL_AUTO_INHERITED
        | ControlFlags::SACL_AUTO_INHERIT_REQ;
    // Wine loses these regardless of the rest of the descriptor.
    let missing = (ours.control - theirs.control) & of_sacl;
    let mut difference = (!missing.is_empty()).then_some(Difference::SddlSaclFlags);
    let as_wine = SecurityDescriptor {
        control: ours.control - missing,
        ..ours.clone()
    };
    match case.r#use.as_str() {
        "compare" => same("the bytes", &hex(&bytes), &hex(&encode(&as_wine)?))?,
        "compare_parts" => {
            same("the length", &bytes.len(), &encode(&ours)?.len())?;
            same("the control flags", &theirs.control, &as_wine.control)?;
        }
        other => return Err(format!("the vector has an unknown use `{other}`")),
    }
    let text = ours
        .to_sddl()
        .map_err(|error| format!("cannot be written as SDDL: {error}"))?;
    same("the descriptor of our text", &ours, &parse_text(&text)?)?;
    if let Some(expected) = case
        .back_to_sddl
        .as_ref()
        .filter(|expected| **expected != text)
    {
        same_parts("Wine's text", &parse_text(expected)?, &ours)?;
        difference = Some(Difference::SddlSpelling);
    }
    Ok(difference.map_or(Outcome::Matches, Outcome::from))
}

fn same_parts(what: &str, theirs: &SecurityDescriptor, ours: &SecurityDescriptor) -> Check {
    same(&format!("the owner of {what}"), &theirs.owner, &ours.owner)?;
    same(&format!("the group of {what}"), &theirs.group, &ours.group)?;
    same(&format!("the DACL of {what}"), &theirs.dacl, &ours.dacl)?;
    same(&format!("the SACL of {what}"), &theirs.sacl, &ours.sacl)
}

/// Checks only that text and bytes survive, because the reference's result is uncertain.
fn unjudged(ours: Option<SecurityDescriptor>, bytes: Option<Vec<u8>>) -> Check<Outcome> {
    let theirs = bytes
        .as_deref()
        .and_then(|bytes| SecurityDescriptor::parse(bytes).ok());
    for descriptor in [ours, theirs].into_iter().flatten() {
        same(
            "the descriptor again",
            &descriptor,
            &parse(&encode(&descriptor)?)?,
        )?;
        if let Ok(text) = descriptor.to_sddl() {
            let again = parse_text(&text)?
                .to_sddl()
                .map_err(|error| error.to_string())?;
            same("the text again", &text, &again)?;
        }
    }
    Ok(Outcome::Unjudged)
}

fn small_buffer(case: &SmallBuffer) -> Check<Outcome> {
    let bytes = unhex(&case.bytes_hex)?;
    if case.error.is_none() {
        return Err("no rule for a small buffer that the reference accepts".to_owned());
    }
    match SecurityDescriptor::parse(&bytes) {
        Err(_) if bytes.len() < HEADER_SIZE => Ok(Outcome::Matches),
        Ok(_) if bytes.len() >= HEADER_SIZE => Ok(Difference::SddlHeader.into()),
        result => Err(format!("{} bytes gave {result:?}", bytes.len())),
    }
}

fn parse(bytes: &[u8]) -> Check<SecurityDescriptor> {
    SecurityDescriptor::parse(bytes).map_err(|error| format!("{}: {error}", hex(bytes)))
}

fn parse_text(text: &str) -> Check<SecurityDescriptor> {
    SecurityDescriptor::from_sddl(text).map_err(|error| format!("{text}: {error}"))
}

fn encode(descriptor: &SecurityDescriptor) -> Check<Vec<u8>> {
    descriptor.to_bytes().map_err(|error| error.to_string())
}
