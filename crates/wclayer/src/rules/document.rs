//! `docs/rules.md`, made of the table of rules.

use super::{Rule, Severity};

const INTRODUCTION: &str = "\
# Rules of layers

What `wclayer validate` checks. This file is made of the table in
`crates/wclayer/src/rules/mod.rs`: change that, then run `cargo xtask rules`.

An **error** makes the import fail, on Windows or here, or keeps containers from running. After a
**warning** the layer is imported and something is not as it was meant. A **note** is odd but legal.
Codes are Win32 errors (`0x3`) or NTSTATUS values (`0xc0000033`); hcsshim is what Docker and
containerd import with.
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
