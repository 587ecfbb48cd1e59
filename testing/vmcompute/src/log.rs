//! The log of all calls, and failures on request.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::sync::Mutex;

/// The number of calls to each function in this process.
static CALLS: Mutex<Option<HashMap<String, u32>>> = Mutex::new(None);

/// Executes a call, or makes it fail if requested, and logs it in both cases.
pub(crate) fn call(
    function: &str,
    arguments: &[(&str, String)],
    work: impl FnOnce() -> io::Result<()>,
) -> i32 {
    let result = match requested_failure(function) {
        Some(hresult) => hresult,
        None => match work() {
            Ok(()) => 0,
            Err(error) => hresult_of(&error),
        },
    };
    log(function, arguments, result);
    result
}

fn hresult_of(error: &io::Error) -> i32 {
    let code = error.raw_os_error().unwrap_or(13); // ERROR_INVALID_DATA
    (0x8007_0000_u32 | (code as u32 & 0xffff)) as i32
}

/// Counts the call and returns the result that `WCLAYER_STANDIN_FAIL` requests for it.
fn requested_failure(function: &str) -> Option<i32> {
    let mut calls = CALLS.lock().ok()?;
    let count = calls
        .get_or_insert_default()
        .entry(function.to_owned())
        .or_default();
    *count += 1;
    let wanted = std::env::var("WCLAYER_STANDIN_FAIL").ok()?;
    let mut parts = wanted.split(':');
    if parts.next()? != function || parts.next()?.parse() != Ok(*count) {
        return None;
    }
    let hresult = parts.next()?;
    let digits = hresult.strip_prefix("0x").unwrap_or(hresult);
    Some(u32::from_str_radix(digits, 16).ok()? as i32)
}

/// A test that reads the log notices if the log cannot be written.
fn log(function: &str, arguments: &[(&str, String)], result: i32) {
    let Ok(path) = std::env::var("WCLAYER_STANDIN_LOG") else {
        return;
    };
    let mut line = format!("{{\"call\":{}", quoted(function));
    for (name, value) in arguments {
        let _ = write!(line, ",{}:{}", quoted(name), quoted(value));
    }
    let _ = writeln!(line, ",\"result\":\"0x{:08x}\"}}", result as u32);
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
