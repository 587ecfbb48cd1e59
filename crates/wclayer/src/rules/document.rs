//! `docs/rules.md`, generated from the table of rules.

use super::{Rule, Severity};

const INTRODUCTION: &str = "\
# Rules of layers

`wclayer validate` checks these rules. This file is generated from the table in
`crates/wclayer/src/rules/mod.rs`: change the table, then run `cargo xtask rules`.

An **error** makes the import fail, on Windows or here, or keeps containers from starting. After a
**warning**, the layer is imported, but something is not as intended. A **note** is unusual but legal.
Codes are Win32 errors (`0x3`) or NTSTATUS values (`0xc0000033`); hcsshim is the library that Docker
and containerd import layers with.
";

/// Returns the text of `docs/rules.md`.
pub fn rules_document() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (severity, title) in [
        (Severity::Error, "Errors"),
        (Severity::Warning, "Warnings"),
        (Severity::Note, "Notes"),
    ] {
        text += &format!("\n## {title}\n");
        let rules = Rule::ALL.iter().map(|rule| rule.info());
        for rule in rules.filter(|rule| rule.severity == severity) {
            text += &format!(
                "\n### `{}`\n\n{}\n\n- What happens: {}\n- Fix: {}\n",
                rule.id, rule.title, rule.effect, rule.fix
            );
        }
    }
    text
}
