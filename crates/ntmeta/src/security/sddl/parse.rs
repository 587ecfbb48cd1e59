//! The SDDL parser: components, lists and entries. Conditions and claims are in separate files.

use super::super::{
    Ace, AceBody, AceFlags, AceType, Acl, AclSlot, ControlFlags, Guid, ObjectTypes,
    SecurityDescriptor, Sid,
};
use super::names::{self, Account};
use super::{SddlError, SddlOptions};

/// Parses a whole text.
pub(super) fn descriptor(
    text: &str,
    options: &SddlOptions,
) -> Result<SecurityDescriptor, SddlError> {
    // Windows would stop reading here.
    if let Some(offset) = text.find('\0') {
        let (expected, found) = ("text without NUL", Some('\0'));
        return Err(SddlError::Unexpected {
            offset,
            expected,
            found,
        });
    }
    let mut parser = Parser::new(text, options.domain.as_ref());
    let mut descriptor = SecurityDescriptor::default();
    let mut seen = String::new();
    loop {
        parser.skip_spaces();
        if parser.peek().is_none() {
            break;
        }
        let offset = parser.offset;
        let component = parser
            .component()
            .ok_or_else(|| parser.unexpected("`O:`, `G:`, `D:` or `S:`"))?;
        if seen.contains(component) {
            return Err(SddlError::DuplicateComponent { offset, component });
        }
        seen.push(component);
        parser.offset += 2;
        match component {
            'O' => descriptor.owner = Some(parser.sid_component()?),
            'G' => descriptor.group = Some(parser.sid_component()?),
            'D' => descriptor.dacl = parser.acl(&mut descriptor.control, &DACL_FLAGS)?,
            _ => descriptor.sacl = parser.acl(&mut descriptor.control, &SACL_FLAGS)?,
        }
    }
    if seen.is_empty() {
        return Err(SddlError::Empty);
    }
    // Only the binary form limits sizes.
    descriptor.to_bytes()?;
    Ok(descriptor)
}

/// The control flags for the flags of a list; the first one marks the list as present.
struct AclFlags {
    present: ControlFlags,
    named: [(&'static str, ControlFlags); 3],
}

const DACL_FLAGS: AclFlags = AclFlags {
    present: ControlFlags::DACL_PRESENT,
    named: [
        ("P", ControlFlags::DACL_PROTECTED),
        ("AR", ControlFlags::DACL_AUTO_INHERIT_REQ),
        ("AI", ControlFlags::DACL_AUTO_INHERITED),
    ],
};

const SACL_FLAGS: AclFlags = AclFlags {
    present: ControlFlags::SACL_PRESENT,
    named: [
        ("P", ControlFlags::SACL_PROTECTED),
        ("AR", ControlFlags::SACL_AUTO_INHERIT_REQ),
        ("AI", ControlFlags::SACL_AUTO_INHERITED),
    ],
};

/// The text and the current position in it.
pub(super) struct Parser<'a> {
    text: &'a str,
    domain: Option<&'a Sid>,
    /// The next byte to read.
    pub(super) offset: usize,
    /// Number of open parentheses and braces in a condition.
    pub(super) depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, domain: Option<&'a Sid>) -> Self {
        Self {
            text,
            domain,
            offset: 0,
            depth: 0,
        }
    }

    /// Returns the unread part of the text.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    }

    /// Takes characters as long as `accept` returns true.
    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.offset += end;
        &rest[..end]
    }

    /// Takes `token` if it comes next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.offset += token.len();
        }
        found
    }

    /// Takes `token`, skipping spaces before it.
    pub(super) fn expect(&mut self, token: &'static str) -> Result<(), SddlError> {
        self.skip_spaces();
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.unexpected(token))
        }
    }

    /// Creates the error for text other than `expected` at the current position.
    pub(super) fn unexpected(&self, expected: &'static str) -> SddlError {
        SddlError::Unexpected {
            offset: self.offset,
            expected,
            found: self.peek(),
        }
    }

    /// Returns the letter of the component at the current position.
    fn component(&self) -> Option<char> {
        let mut chars = self.rest().chars();
        let letter = chars
            .next()
            .filter(|c| matches!(c, 'O' | 'G' | 'D' | 'S'))?;
        (chars.next() == Some(':')).then_some(letter)
    }

    /// Parses a SID that extends to the next component or the end of the text.
    fn sid_component(&mut self) -> Result<Sid, SddlError> {
        let (start, rest) = (self.offset, self.rest());
        // The letter before the next colon belongs to the next component.
        let end = match rest.find(':') {
            Some(colon) => rest[..colon]
                .char_indices()
                .next_back()
                .map_or(0, |(last, _)| last),
            None => rest.len(),
        };
        self.offset += end;
        self.sid(start, &rest[..end])
    }

    /// Converts `text`, found at `offset`: an alias or a SID, with optional spaces around it.
    pub(super) fn sid(&self, offset: usize, text: &str) -> Result<Sid, SddlError> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let Some((alias, account)) = names::account(text) else {
            let text = text.to_owned();
            return text
                .parse()
                .map_err(|_| SddlError::InvalidSid { offset, text });
        };
        let sid = match account {
            Account::Fixed(authority, sub_authorities) => Sid::new(authority, sub_authorities),
            Account::Builtin(rid) => Sid::new(5, &[32, rid]),
            Account::Domain(rid) => {
                let domain = self
                    .domain
                    .ok_or(SddlError::DomainRequired { offset, alias })?;
                Sid::new(
                    domain.authority(),
                    &[domain.sub_authorities(), &[rid]].concat(),
                )
            }
        };
        Ok(sid?)
    }

    /// Parses the flags and entries of a list.
    fn acl(&mut self, control: &mut ControlFlags, flags: &AclFlags) -> Result<AclSlot, SddlError> {
        control.insert(flags.present);
        let mut null = false;
        loop {
            self.skip_spaces();
            if self.at_end_of_acl() || self.peek() == Some('(') {
                break;
            }
            if self.eat("NO_ACCESS_CONTROL") {
                null = true;
            } else if let Some((_, flag)) = flags.named.iter().find(|(name, _)| self.eat(name)) {
                control.insert(*flag);
            } else {
                return Err(self.unexpected("an ACL flag (`P`, `AR`, `AI`, `NO_ACCESS_CONTROL`)"));
            }
        }
        let mut aces = Vec::new();
        while !self.at_end_of_acl() {
            if null {
                return Err(self.unexpected("no ACE after `NO_ACCESS_CONTROL`"));
            }
            aces.push(self.ace()?);
            self.skip_spaces();
        }
        Ok(if null {
            AclSlot::Null
        } else {
            AclSlot::Present(Acl::new(aces))
        })
    }

    fn at_end_of_acl(&self) -> bool {
        self.peek().is_none() || self.component().is_some()
    }

    /// Parses an entry including its parentheses.
    fn ace(&mut self) -> Result<Ace, SddlError> {
        self.expect("(")?;
        let (offset, text) = self.field(";")?;
        let text = text.trim();
        let ace_type = names::ace_type(text).ok_or_else(|| SddlError::InvalidAceType {
            offset,
            text: text.to_owned(),
        })?;
        let (offset, text) = self.field(";")?;
        let flags = ace_flags(offset, text)?;
        let (offset, text) = self.field(";")?;
        let mask = rights(offset, text)?;
        let object_type = self.guid_field(ace_type)?;
        let inherited_object_type = self.guid_field(ace_type)?;
        let object = ObjectTypes {
            object_type,
            inherited_object_type,
            other_flags: 0,
        };
        let seventh = ace_type.is_conditional() || ace_type == AceType::SYSTEM_RESOURCE_ATTRIBUTE;
        let (offset, text) = self.field(if seventh { ";" } else { ")" })?;
        let sid = self.sid(offset, text)?;
        let mut data = Vec::new();
        if seventh {
            data = if ace_type.is_conditional() {
                self.condition()?.encode()?
            } else {
                self.claim()?.encode()?
            };
            self.expect(")")?;
        }
        let object = ace_type.is_object().then_some(object);
        Ok(Ace {
            ace_type,
            flags,
            body: AceBody::Trustee {
                mask,
                object,
                sid,
                data,
            },
        })
    }

    /// Takes a field and the `end` after it; returns the field and its position.
    fn field(&mut self, end: &'static str) -> Result<(usize, &'a str), SddlError> {
        let offset = self.offset;
        let text = self.take_while(|c| !matches!(c, ';' | '(' | ')'));
        if self.eat(end) {
            Ok((offset, text))
        } else {
            Err(self.unexpected(end))
        }
    }

    /// Parses a field that contains a GUID or nothing.
    fn guid_field(&mut self, ace_type: AceType) -> Result<Option<Guid>, SddlError> {
        let (offset, text) = self.field(";")?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let guid = text.parse().ok().filter(|_| ace_type.is_object());
        guid.map(Some).ok_or_else(|| SddlError::InvalidGuid {
            offset,
            text: text.to_owned(),
        })
    }
}

/// Converts the flags field of an entry.
fn ace_flags(offset: usize, text: &str) -> Result<AceFlags, SddlError> {
    let mut flags = AceFlags::empty();
    each_pair(text.trim(), |name| {
        flags.insert(names::ace_flag(name)?);
        Some(())
    })
    .ok_or_else(|| SddlError::InvalidAceFlags {
        offset,
        text: text.to_owned(),
    })?;
    Ok(flags)
}

/// Converts the rights field of an entry: names, or a number in C notation.
fn rights(offset: usize, text: &str) -> Result<u32, SddlError> {
    let error = || SddlError::InvalidRights {
        offset,
        text: text.to_owned(),
    };
    let trimmed = text.trim_start_matches(' ');
    if trimmed.starts_with(|c: char| c.is_ascii_digit()) {
        return number(trimmed)
            .and_then(|mask| u32::try_from(mask).ok())
            .ok_or_else(error);
    }
    let mut mask = 0;
    each_pair(text, |name| {
        mask |= names::right(name)?;
        Some(())
    })
    .ok_or_else(error)?;
    Ok(mask)
}

/// Calls `take` for each pair of characters in `text`; a pair may have spaces before it.
fn each_pair(mut text: &str, mut take: impl FnMut(&str) -> Option<()>) -> Option<()> {
    while !text.is_empty() {
        let (pair, rest) = text.trim_start_matches(' ').split_at_checked(2)?;
        take(pair)?;
        text = rest;
    }
    Some(())
}

/// Converts an unsigned number: `0x` for hexadecimal, `0` for octal, otherwise decimal.
pub(super) fn number(text: &str) -> Option<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hex, text.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (text, 10),
    };
    // `from_str_radix` accepts a sign.
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    all_digits
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}
