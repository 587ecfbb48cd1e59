//! The text form of claims, `("Project",TS,0x0,"Windows","SQL")`.
//!
//! Name, type, flags, then the values. Octet strings are written as bare digits, as Windows does,
//! and read with or without the `#` that the specification requires.
//!
//! Source: \[MS-DTYP\] 2.5.1.1, `resource-attribute-data`.

use std::fmt::Write as _;

use super::super::{Claim, ClaimValues, IntegerSign, Literal, Sid};
use super::SddlError;
use super::condition::{push_name, push_octets, push_sid_literal, unescape};
use super::parse::{Parser, number};

impl Parser<'_> {
    /// Parses a claim including its parentheses.
    pub(super) fn claim(&mut self) -> Result<Claim, SddlError> {
        self.expect("(")?;
        let (offset, name) = self.quoted()?;
        let name = unescape(offset, name)?;
        self.expect(",")?;
        self.skip_spaces();
        let type_offset = self.offset;
        let type_name = self
            .take_while(|c| c.is_ascii_alphabetic())
            .to_ascii_uppercase();
        self.expect(",")?;
        self.skip_spaces();
        let offset = self.offset;
        let text = self.take_while(|c| c.is_ascii_alphanumeric());
        let flags = number(text)
            .and_then(|flags| u32::try_from(flags).ok())
            .ok_or_else(|| SddlError::InvalidNumber {
                offset,
                text: text.to_owned(),
            })?;
        let values = match &*type_name {
            "TI" => ClaimValues::Int64(self.values(|parser| Ok(parser.claim_integer()?.0))?),
            "TU" => ClaimValues::Uint64(self.values(Self::claim_unsigned)?),
            "TS" => ClaimValues::String(self.values(|parser| Ok(parser.quoted()?.1.to_owned()))?),
            "TD" => ClaimValues::Sid(self.values(Self::sid_literal)?),
            "TB" => ClaimValues::Boolean(self.values(Self::claim_unsigned)?),
            "TX" => ClaimValues::Octets(self.values(Self::octets)?),
            _ => {
                self.offset = type_offset;
                return Err(self.unexpected("a claim type (`TI`, `TU`, `TS`, `TD`, `TB`, `TX`)"));
            }
        };
        self.expect(")")?;
        Ok(Claim {
            name,
            reserved: 0,
            flags,
            values,
        })
    }

    /// Parses values, each preceded by a comma.
    fn values<T>(
        &mut self,
        value: fn(&mut Self) -> Result<T, SddlError>,
    ) -> Result<Vec<T>, SddlError> {
        let mut values = Vec::new();
        loop {
            self.skip_spaces();
            if !self.eat(",") {
                return Ok(values);
            }
            self.skip_spaces();
            values.push(value(self)?);
        }
    }

    /// Parses an integer; also returns whether it has a minus sign.
    fn claim_integer(&mut self) -> Result<(i64, bool), SddlError> {
        match self.integer()? {
            Literal::Integer { value, sign, .. } => Ok((value, sign == IntegerSign::Minus)),
            _ => Err(self.unexpected("an integer")),
        }
    }

    fn claim_unsigned(&mut self) -> Result<u64, SddlError> {
        let offset = self.offset;
        match self.claim_integer()? {
            (value, false) => Ok(value.cast_unsigned()),
            (value, true) => Err(SddlError::InvalidNumber {
                offset,
                text: value.to_string(),
            }),
        }
    }
}

/// Appends a claim with its parentheses.
pub(super) fn push_claim(out: &mut String, claim: &Claim, domain: Option<&Sid>) {
    out.push_str("(\"");
    push_name(out, &claim.name, false);
    let type_name = match &claim.values {
        ClaimValues::Int64(_) => "TI",
        ClaimValues::Uint64(_) => "TU",
        ClaimValues::String(_) => "TS",
        ClaimValues::Sid(_) => "TD",
        ClaimValues::Boolean(_) => "TB",
        ClaimValues::Octets(_) => "TX",
    };
    // Writing to a string cannot fail.
    let _ = write!(out, "\",{type_name},{:#x}", claim.flags);
    match &claim.values {
        ClaimValues::Int64(values) => push_values(out, values, |out, value| {
            let _ = write!(out, "{value}");
        }),
        ClaimValues::Uint64(values) | ClaimValues::Boolean(values) => {
            push_values(out, values, |out, value| {
                let _ = write!(out, "{value}");
            });
        }
        ClaimValues::String(values) => push_values(out, values, |out, value| {
            let _ = write!(out, "\"{value}\"");
        }),
        ClaimValues::Sid(values) => {
            push_values(out, values, |out, value| {
                push_sid_literal(out, value, domain)
            });
        }
        ClaimValues::Octets(values) => push_values(out, values, |out, value| {
            push_octets(out, value);
        }),
    }
    out.push(')');
}

fn push_values<T>(out: &mut String, values: &[T], push: impl Fn(&mut String, &T)) {
    for value in values {
        out.push(',');
        push(out, value);
    }
}
