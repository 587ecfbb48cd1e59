//! The names in a layer, spelled by the suite's own rules.

use crate::differences::Difference;

/// Returns the canonical spelling of a path: `/` between components that are neither empty nor `.`,
/// and U+FFFD for each invalid byte.
pub(crate) fn spelled(name: &[u8]) -> Result<Vec<u8>, Difference> {
    let name: String = match ntmeta::wide::is_wtf8(name) {
        true => return spelled_text(name),
        false => name
            .utf8_chunks()
            .flat_map(|chunk| {
                [
                    chunk.valid().to_owned(),
                    "\u{FFFD}".repeat(chunk.invalid().len()),
                ]
            })
            .collect(),
    };
    spelled_text(name.as_bytes())
}

fn spelled_text(name: &[u8]) -> Result<Vec<u8>, Difference> {
    let is_absolute = matches!(name, [b'/' | b'\\', ..]);
    let has_drive = matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic());
    let components: Vec<&[u8]> = name
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .filter(|component| !matches!(*component, b"" | b"."))
        .collect();
    let is_bad = |component: &&[u8]| {
        *component == b".."
            || component.iter().any(|byte| matches!(byte, b':' | 0))
            || ntmeta::wide::from_wtf8(component).len() > 255
    };
    let path = components.join(&b'/');
    let too_long = ntmeta::wide::from_wtf8(&path).len() > 32_767;
    if path.is_empty() || is_absolute || has_drive || too_long || components.iter().any(is_bad) {
        return Err(Difference::BadPath);
    }
    Ok(path)
}
