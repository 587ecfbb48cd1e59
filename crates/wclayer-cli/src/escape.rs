//! Makes names from a layer safe for a terminal.

use std::borrow::Cow;

/// Escapes control characters, line breaks and marks that change the direction of text as `\u{…}`: a
/// name in a layer must not control the terminal. Names contain no `\`, so this is reversible.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    // Nearly all names are plain ASCII, which this checks at the speed of memory.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match is_unsafe(character) {
            true => safe.extend(character.escape_unicode()),
            false => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// Returns whether a character could control the terminal, or is invisible.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn control_characters_are_escaped() {
        for (text, safe) in [
            ("plain ä 文", "plain ä 文"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\r\t", "a\\u{a}b\\u{d}\\u{9}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("exe\u{202e}txt", "exe\\u{202e}txt"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }
}
