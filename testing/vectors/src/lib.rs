//! Golden vectors: the reference implementation's output for hand-made input.
//!
//! The vectors are in `data/` and described by its `README.md`; `tests/suite` runs them all. This
//! crate provides the suite's tools, written without the code under test: finding and loading cases
//! ([`files`]), contents given by hash ([`blob`]), backup streams ([`streams`]), tars ([`tarball`])
//! and times ([`time`]).

pub mod blob;
pub mod files;
pub mod streams;
pub mod tarball;
pub mod time;

/// The result of a comparison; the error describes the expected and the actual value.
pub type Check<T = ()> = Result<T, String>;

/// Compares two values.
///
/// # Errors
///
/// Returns a description of both if they differ.
pub fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, expected: &T, got: &T) -> Check {
    if expected == got {
        return Ok(());
    }
    Err(format!(
        "{what}: expected {}, got {}",
        shortened(expected),
        shortened(got)
    ))
}

/// Formats a value, omitting the middle of a long one.
pub fn shortened(value: &(impl std::fmt::Debug + ?Sized)) -> String {
    let text = format!("{value:?}");
    let len = text.chars().count();
    if len <= 600 {
        return text;
    }
    let start: String = text.chars().take(400).collect();
    let end: String = text.chars().skip(len - 150).collect();
    format!("{start} […] {end}")
}
