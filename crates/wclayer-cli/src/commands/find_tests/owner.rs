//! `--owner`: a SID, an alias or a name.

use wclayer::ntmeta::SecurityDescriptor;
use wclayer::ntmeta::security::Sid;

/// Parses a SID, an SDDL alias, or a name such as `BUILTIN\Administrators`.
pub(super) fn parse(text: &str) -> Result<Sid, String> {
    const EXPECTED: &str = "expected a SID such as `S-1-5-32-544`, an SDDL alias such as `BA`, or a \
        well-known name such as `BUILTIN\\Administrators`";
    let alias = || {
        let is_alias = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let parsed = is_alias.then(|| SecurityDescriptor::from_sddl(&format!("O:{text}")));
        parsed?.ok()?.owner
    };
    let sid = text.parse().ok();
    sid.or_else(alias)
        .or_else(|| Sid::from_well_known_name(text))
        .ok_or_else(|| EXPECTED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_sids_aliases_and_names() {
        for text in [
            "S-1-5-32-544",
            "s-1-5-0x20-544",
            "BA",
            "ba",
            "BUILTIN\\Administrators",
            "administrators",
        ] {
            let sid = parse(text).expect(text);
            assert_eq!(sid.to_string(), "S-1-5-32-544", "{text}");
        }
        // `DA` depends on the domain, so it has no fixed SID.
        for text in ["", "S-1-5-", "S-1-x", "nobody", "BAG:SY", "BUILTIN\\", "DA"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
