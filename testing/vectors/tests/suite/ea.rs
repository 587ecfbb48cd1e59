//! `ea.json`: extended attributes to lists, and back.

use std::path::Path;

use ntmeta::ExtendedAttribute;
use ntmeta::ea::{decode_list, encode_list};
use serde::Deserialize;
use vectors::blob::{Blob, unhex};
use vectors::{Check, files, same, streams};

use crate::case::{Case, Outcome};
use crate::differences::Difference;

#[derive(Deserialize)]
struct Ea {
    encode: Vec<List>,
    decode: Vec<List>,
}

#[derive(Deserialize)]
struct List {
    note: String,
    eas: Option<Vec<Attribute>>,
    #[serde(default)]
    bytes_hex: String,
    len: u64,
    sha256: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Attribute {
    name_hex: String,
    value_hex: String,
    flags: u8,
}

impl List {
    fn attributes(&self) -> Check<Vec<ExtendedAttribute>> {
        let attribute = |attribute: &Attribute| {
            let (name, value) = (unhex(&attribute.name_hex)?, unhex(&attribute.value_hex)?);
            Ok(ExtendedAttribute {
                flags: attribute.flags,
                name,
                value,
            })
        };
        self.eas
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(attribute)
            .collect()
    }
}

pub(crate) fn cases(json: &Path) -> Check<Vec<Case>> {
    let Some(vectors) = files::load_optional::<Ea>(json)? else {
        return Ok(Vec::new());
    };
    let encode = vectors
        .encode
        .into_iter()
        .map(|case| Case::new(format!("encode {}", case.note), move || encode(&case)));
    let decode = vectors
        .decode
        .into_iter()
        .map(|case| Case::new(format!("decode {}", case.note), move || decode(&case)));
    Ok(encode.chain(decode).collect())
}

fn encode(case: &List) -> Check<Outcome> {
    let attributes = case.attributes()?;
    match (encode_list(&attributes), &case.error) {
        (Err(_), Some(_)) => Ok(Outcome::Matches),
        (Ok(bytes), None) => {
            let sha256 = case.sha256.clone().ok_or("the vector has no hash")?;
            Blob {
                len: case.len,
                sha256,
                b64: None,
            }
            .check("the list", &bytes)?;
            same(
                "the attributes again",
                &Ok(attributes),
                &decode_list(&bytes),
            )?;
            Ok(Outcome::Matches)
        }
        (result, error) => Err(format!("the reference's error: {error:?}, got {result:?}")),
    }
}

fn decode(case: &List) -> Check<Outcome> {
    let bytes = unhex(&case.bytes_hex)?;
    match (decode_list(&bytes), &case.error) {
        (Err(_), Some(_)) => Ok(Outcome::Matches),
        (Err(_), None) if streams::overlaps(&bytes) => Ok(Difference::EaOverlap.into()),
        (Ok(list), None) => {
            same("the attributes", &case.attributes()?, &list)?;
            Ok(Outcome::Matches)
        }
        (result, error) => Err(format!("the reference's error: {error:?}, got {result:?}")),
    }
}
