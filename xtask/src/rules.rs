//! `cargo xtask rules`: writes `docs/rules.md` from the table of rules in the library.

use std::path::Path;

use wclayer::rules::rules_document;

pub(crate) fn run() -> crate::Result {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    std::fs::write(path, rules_document())?;
    Ok(())
}
