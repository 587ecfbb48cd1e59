//! Shows a security descriptor.

use serde::Serialize;
use wclayer::ntmeta::security::explain::account;
use wclayer::ntmeta::security::{AclSlot, SecurityDescriptor};

use crate::output::Summary;

/// A security descriptor as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecurityJson {
    size: usize,
    sddl: Option<String>,
    control: Vec<&'static str>,
    owner: Option<String>,
    group: Option<String>,
    dacl_state: Option<&'static str>,
    dacl: Vec<String>,
    sacl_state: Option<&'static str>,
    sacl: Vec<String>,
    problem: Option<String>,
}

impl SecurityJson {
    pub(super) fn new(bytes: &[u8], is_directory: bool) -> Self {
        let parsed = SecurityDescriptor::parse(bytes);
        let list = |slot: &AclSlot| match slot {
            AclSlot::Absent | AclSlot::Null => Vec::new(),
            AclSlot::Present(acl) => acl
                .aces
                .iter()
                .map(|ace| ace.explain(is_directory).to_string())
                .collect(),
        };
        let known = parsed.as_ref().ok();
        let control = known.map(|known| known.control.iter_names().map(|(name, _)| name));
        Self {
            size: bytes.len(),
            sddl: known.and_then(|known| known.to_sddl().ok()),
            control: control.into_iter().flatten().collect(),
            owner: known.and_then(|known| known.owner.as_ref()).map(account),
            group: known.and_then(|known| known.group.as_ref()).map(account),
            dacl_state: known.map(|known| state(&known.dacl)),
            dacl: known.map(|known| list(&known.dacl)).unwrap_or_default(),
            sacl_state: known.map(|known| state(&known.sacl)),
            sacl: known.map(|known| list(&known.sacl)).unwrap_or_default(),
            problem: parsed.as_ref().err().map(ToString::to_string),
        }
    }

    pub(super) fn rows(&self, summary: &mut Summary) {
        if let Some(problem) = &self.problem {
            let size = self.size;
            summary.row("descriptor", format!("malformed, {size} bytes: {problem}"));
            return;
        }
        if let Some(sddl) = &self.sddl {
            summary.row("SDDL", sddl);
        }
        summary.row("control", self.control.join(", "));
        for (label, account) in [("owner", &self.owner), ("group", &self.group)] {
            summary.row(label, account.as_deref().unwrap_or("none"));
        }
        let dacl = match self.dacl_state {
            Some("absent") => Some("no list: everyone has full access"),
            Some("null") => Some("a NULL list: everyone has full access"),
            Some("empty") => Some("an empty list: nobody has access"),
            _ => None,
        };
        let sacl = match self.sacl_state {
            Some("null") => Some("a NULL list: nothing is audited"),
            Some("empty") => Some("an empty list: nothing is audited"),
            _ => None,
        };
        for (label, state, entries) in [("DACL", dacl, &self.dacl), ("SACL", sacl, &self.sacl)] {
            state
                .into_iter()
                .for_each(|state| summary.row(label, state));
            entries.iter().for_each(|entry| summary.row(label, entry));
        }
    }
}

fn state(slot: &AclSlot) -> &'static str {
    match slot {
        AclSlot::Absent => "absent",
        AclSlot::Null => "null",
        AclSlot::Present(acl) if acl.aces.is_empty() => "empty",
        AclSlot::Present(_) => "present",
    }
}
