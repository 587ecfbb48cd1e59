//! The text form of conditional expressions, `(@USER.Title == "PM" && Member_of {SID(BA)})`.
//!
//! `&&` binds more tightly than `||`, both associate to the left, and `!` requires parentheses
//! around its operand. The output has parentheses around every operand of these three operators,
//! as in the output of Windows.
//!
//! Source: \[MS-DTYP\] 2.5.1.1, `conditional-ace` and the rules it refers to.

use std::fmt::Write as _;

use super::super::{
    AttributeScope, BinaryOperator, Condition, IntegerBase, IntegerSign, IntegerWidth, Literal,
    MAX_DEPTH, Sid, UnaryOperator,
};
use super::SddlError;
use super::names;
use super::parse::{Parser, number};

/// The prefixes of attributes.
const SCOPES: &[(&str, AttributeScope)] = &[
    ("@USER.", AttributeScope::User),
    ("@DEVICE.", AttributeScope::Device),
    ("@RESOURCE.", AttributeScope::Resource),
];

/// Operators that are words before their operand.
const UNARY: &[(&str, UnaryOperator)] = &[
    ("Exists", UnaryOperator::Exists),
    ("Not_Exists", UnaryOperator::NotExists),
    ("Member_of", UnaryOperator::MemberOf),
    ("Not_Member_of", UnaryOperator::NotMemberOf),
    ("Member_of_any", UnaryOperator::MemberOfAny),
    ("Not_Member_of_any", UnaryOperator::NotMemberOfAny),
    ("Device_Member_of", UnaryOperator::DeviceMemberOf),
    ("Not_Device_Member_of", UnaryOperator::NotDeviceMemberOf),
    ("Device_Member_of_any", UnaryOperator::DeviceMemberOfAny),
    (
        "Not_Device_Member_of_any",
        UnaryOperator::NotDeviceMemberOfAny,
    ),
];

/// Comparison symbols; a symbol comes before its own prefixes.
const SYMBOLS: &[(&str, BinaryOperator)] = &[
    ("==", BinaryOperator::Equal),
    ("!=", BinaryOperator::NotEqual),
    ("<=", BinaryOperator::LessOrEqual),
    ("<", BinaryOperator::Less),
    (">=", BinaryOperator::GreaterOrEqual),
    (">", BinaryOperator::Greater),
];

/// Comparisons that are words.
const WORDS: &[(&str, BinaryOperator)] = &[
    ("Contains", BinaryOperator::Contains),
    ("Not_Contains", BinaryOperator::NotContains),
    ("Any_of", BinaryOperator::AnyOf),
    ("Not_Any_of", BinaryOperator::NotAnyOf),
];

/// Returns whether `c` is allowed in an attribute name without a prefix.
fn is_local_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '.' | '/' | '_')
}

/// Returns whether `c` is allowed in an attribute name with a prefix or in the name of a claim.
fn is_name_char(c: char) -> bool {
    is_local_char(c) || "#$'*+-;?@[\\]^`{}~".contains(c)
}

/// A part of a condition and the depth of its tree.
type Node = (Condition, usize);

impl Parser<'_> {
    /// Parses a condition including its parentheses.
    pub(super) fn condition(&mut self) -> Result<Condition, SddlError> {
        Ok(self.in_parentheses(Self::disjunction)?.0)
    }

    fn disjunction(&mut self) -> Result<Node, SddlError> {
        self.chain("||", BinaryOperator::Or, Self::conjunction)
    }

    fn conjunction(&mut self) -> Result<Node, SddlError> {
        self.chain("&&", BinaryOperator::And, Self::factor)
    }

    /// Parses operands separated by an operator.
    fn chain(
        &mut self,
        symbol: &str,
        operator: BinaryOperator,
        operand: fn(&mut Self) -> Result<Node, SddlError>,
    ) -> Result<Node, SddlError> {
        let mut left = operand(self)?;
        loop {
            self.skip_spaces();
            if !self.eat(symbol) {
                return Ok(left);
            }
            let right = operand(self)?;
            let depth = self.deeper(left.1.max(right.1))?;
            let (l, r) = (Box::new(left.0), Box::new(right.0));
            left = (
                Condition::Binary {
                    operator,
                    left: l,
                    right: r,
                },
                depth,
            );
        }
    }

    fn factor(&mut self) -> Result<Node, SddlError> {
        self.skip_spaces();
        if self.eat("!") {
            let operator = UnaryOperator::Not;
            let (operand, depth) = self.in_parentheses(Self::disjunction)?;
            let depth = self.deeper(depth)?;
            return Ok((
                Condition::Unary {
                    operator,
                    operand: Box::new(operand),
                },
                depth,
            ));
        }
        if self.peek() == Some('(') {
            return self.in_parentheses(Self::disjunction);
        }
        Ok((self.term()?, 2))
    }

    /// Parses an attribute, a comparison or a membership test.
    fn term(&mut self) -> Result<Condition, SddlError> {
        let start = self.offset;
        let word = self.take_while(is_local_char);
        if let Some((_, operator)) = find(UNARY, word) {
            let operand = if word.to_ascii_lowercase().ends_with("exists") {
                self.skip_spaces();
                self.attribute()?
            } else {
                self.right_operand()?
            };
            return Ok(Condition::Unary {
                operator,
                operand: Box::new(operand),
            });
        }
        self.offset = start;
        let left = self.attribute()?;
        self.skip_spaces();
        let Some(operator) = self.comparison() else {
            return Ok(left);
        };
        let (left, right) = (Box::new(left), Box::new(self.right_operand()?));
        Ok(Condition::Binary {
            operator,
            left,
            right,
        })
    }

    /// Parses a comparison operator if one comes next.
    fn comparison(&mut self) -> Option<BinaryOperator> {
        if let Some((_, operator)) = SYMBOLS.iter().find(|(symbol, _)| self.eat(symbol)) {
            return Some(*operator);
        }
        let start = self.offset;
        let word = self.take_while(is_local_char);
        let operator = find(WORDS, word).map(|entry| entry.1);
        if operator.is_none() {
            self.offset = start;
        }
        operator
    }

    /// Parses an attribute with or without a prefix.
    fn attribute(&mut self) -> Result<Condition, SddlError> {
        let prefix = |&&(prefix, _): &&(&str, _)| {
            let start = self.rest().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let Some(&(prefix, scope)) = SCOPES.iter().find(prefix) else {
            if !self.peek().is_some_and(|c| is_local_char(c) || c == '%') {
                return Err(self.unexpected("an attribute, an operator, `!` or `(`"));
            }
            let (offset, start) = (self.offset, self.rest());
            self.take_while(|c| is_local_char(c) || matches!(c, '@' | '%'));
            let name = unescape(offset, &start[..self.offset - offset])?;
            return Ok(Condition::Attribute {
                scope: AttributeScope::Local,
                name,
            });
        };
        self.offset += prefix.len();
        let offset = self.offset;
        let text = self.take_while(|c| is_name_char(c) || c == '%');
        Ok(Condition::Attribute {
            scope,
            name: unescape(offset, text)?,
        })
    }

    /// Parses the right-hand side of an operator: a literal or an attribute with a prefix,
    /// optionally in parentheses.
    fn right_operand(&mut self) -> Result<Condition, SddlError> {
        self.skip_spaces();
        match self.peek() {
            Some('(') => self.in_parentheses(Self::right_operand),
            Some('@') => self.attribute(),
            _ => Ok(Condition::Literal(self.literal()?)),
        }
    }

    fn literal(&mut self) -> Result<Literal, SddlError> {
        self.skip_spaces();
        match self.peek() {
            Some('"') => Ok(Literal::String(self.quoted()?.1.to_owned())),
            Some('#') => self.octets().map(Literal::Octets),
            Some('{') => self.nested(Self::composite),
            Some('S' | 's') => self.sid_literal().map(Literal::Sid),
            Some('0'..='9' | '+' | '-') => self.integer(),
            _ => Err(self.unexpected("a literal")),
        }
    }

    /// Parses a list of literals in braces.
    fn composite(&mut self) -> Result<Literal, SddlError> {
        self.expect("{")?;
        let mut elements = Vec::new();
        self.skip_spaces();
        if self.eat("}") {
            return Ok(Literal::Composite(elements));
        }
        loop {
            elements.push(self.literal()?);
            self.skip_spaces();
            if self.eat("}") {
                return Ok(Literal::Composite(elements));
            }
            self.expect(",")?;
        }
    }

    /// Parses a quoted string, which has no escapes; returns its offset and text.
    pub(super) fn quoted(&mut self) -> Result<(usize, &str), SddlError> {
        self.expect("\"")?;
        let offset = self.offset;
        let end = self.rest().find('"').ok_or(SddlError::Unexpected {
            offset: offset + self.rest().len(),
            expected: "`\"`",
            found: None,
        })?;
        let text = &self.rest()[..end];
        self.offset += end + 1;
        Ok((offset, text))
    }

    /// Parses `#` and an octet string: hexadecimal digits, where another `#` stands for `0`.
    pub(super) fn octets(&mut self) -> Result<Vec<u8>, SddlError> {
        let offset = self.offset;
        let text = self.take_while(|c| c == '#' || c.is_ascii_alphanumeric());
        let digits = text.strip_prefix('#').unwrap_or(text);
        let error = || SddlError::InvalidNumber {
            offset,
            text: text.to_owned(),
        };
        let digit = |c: char| if c == '#' { Some(0) } else { c.to_digit(16) };
        let mut values: Vec<u32> = digits
            .chars()
            .map(digit)
            .collect::<Option<_>>()
            .ok_or_else(error)?;
        if !values.len().is_multiple_of(2) {
            // Windows supplies a missing digit at the front.
            values.insert(0, 0);
        }
        Ok(values
            .chunks_exact(2)
            .map(|pair| (pair[0] * 16 + pair[1]) as u8)
            .collect())
    }

    /// Parses `SID(...)`.
    pub(super) fn sid_literal(&mut self) -> Result<Sid, SddlError> {
        let start = self.offset;
        if !self
            .take_while(|c| c.is_ascii_alphabetic())
            .eq_ignore_ascii_case("SID")
        {
            self.offset = start;
            return Err(self.unexpected("`SID(`"));
        }
        self.expect("(")?;
        let offset = self.offset;
        let end = self.rest().find(')').unwrap_or(self.rest().len());
        let sid = self.sid(offset, &self.rest()[..end])?;
        self.offset += end;
        self.expect(")")?;
        Ok(sid)
    }

    /// Parses an integer in C notation.
    pub(super) fn integer(&mut self) -> Result<Literal, SddlError> {
        let (offset, rest) = (self.offset, self.rest());
        let sign = if self.eat("+") {
            IntegerSign::Plus
        } else if self.eat("-") {
            IntegerSign::Minus
        } else {
            IntegerSign::None
        };
        let digits = self.take_while(|c| c.is_ascii_alphanumeric());
        let base = match digits.as_bytes() {
            [b'0', b'x' | b'X', ..] => IntegerBase::Hexadecimal,
            [b'0', _, ..] => IntegerBase::Octal,
            _ => IntegerBase::Decimal,
        };
        let value = number(digits).and_then(|magnitude| match sign {
            IntegerSign::Minus => 0i64.checked_sub_unsigned(magnitude),
            // Beyond the signed range, the bit pattern counts.
            _ => Some(magnitude.cast_signed()),
        });
        let text = || rest[..self.offset - offset].to_owned();
        let value = value.ok_or_else(|| SddlError::InvalidNumber {
            offset,
            text: text(),
        })?;
        Ok(Literal::Integer {
            value,
            width: IntegerWidth::Bits64,
            sign,
            base,
        })
    }

    /// Parses `content` in parentheses.
    fn in_parentheses<T>(
        &mut self,
        content: fn(&mut Self) -> Result<T, SddlError>,
    ) -> Result<T, SddlError> {
        self.expect("(")?;
        let value = self.nested(content)?;
        self.expect(")")?;
        Ok(value)
    }

    /// Parses `content` one level deeper.
    fn nested<T>(
        &mut self,
        content: fn(&mut Self) -> Result<T, SddlError>,
    ) -> Result<T, SddlError> {
        self.depth = self.deeper(self.depth)?;
        let value = content(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn deeper(&self, depth: usize) -> Result<usize, SddlError> {
        if depth >= MAX_DEPTH {
            return Err(SddlError::TooDeep {
                offset: self.offset,
            });
        }
        Ok(depth + 1)
    }
}

/// Finds a word, ignoring case.
fn find<T: Copy>(table: &'static [(&'static str, T)], word: &str) -> Option<(&'static str, T)> {
    table
        .iter()
        .find(|entry| entry.0.eq_ignore_ascii_case(word))
        .copied()
}

/// Decodes an attribute name, in which `%` and four digits encode a UTF-16 unit.
pub(super) fn unescape(offset: usize, text: &str) -> Result<String, SddlError> {
    let error = || SddlError::InvalidName {
        offset,
        text: text.to_owned(),
    };
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '%' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        let (digits, after) = rest.split_at_checked(4).ok_or_else(error)?;
        let hexadecimal = digits.chars().all(|c| c.is_ascii_hexdigit());
        let unit = hexadecimal
            .then(|| u16::from_str_radix(digits, 16).ok())
            .flatten();
        units.push(unit.filter(|&unit| unit != 0).ok_or_else(error)?);
        rest = after;
    }
    if units.is_empty() {
        return Err(error());
    }
    String::from_utf16(&units).map_err(|_| error())
}

/// Appends an attribute name; escapes characters that are not allowed, and everything outside
/// ASCII.
pub(super) fn push_name(out: &mut String, name: &str, local: bool) {
    let accept = if local { is_local_char } else { is_name_char };
    for c in name.chars() {
        if c.is_ascii() && accept(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{unit:04x}");
            }
        }
    }
}

/// Appends a condition with its parentheses.
pub(super) fn push_condition(out: &mut String, condition: &Condition, domain: Option<&Sid>) {
    out.push('(');
    match condition {
        Condition::Unary {
            operator: UnaryOperator::Not,
            operand,
        } => {
            out.push('!');
            push_condition(out, operand, domain);
        }
        Condition::Binary {
            operator: BinaryOperator::And,
            left,
            right,
        } => {
            push_condition(out, left, domain);
            out.push_str(" && ");
            push_condition(out, right, domain);
        }
        Condition::Binary {
            operator: BinaryOperator::Or,
            left,
            right,
        } => {
            push_condition(out, left, domain);
            out.push_str(" || ");
            push_condition(out, right, domain);
        }
        Condition::Unary { operator, operand } => {
            out.push_str(name_of(UNARY, *operator));
            out.push(' ');
            push_operand(out, operand, domain);
        }
        Condition::Binary {
            operator,
            left,
            right,
        } => {
            push_operand(out, left, domain);
            let symbol = name_of(SYMBOLS, *operator);
            let word = name_of(WORDS, *operator);
            let _ = write!(out, " {symbol}{word} ");
            push_operand(out, right, domain);
        }
        operand => push_operand(out, operand, domain),
    }
    out.push(')');
}

/// Returns the name of an operator, or an empty string if the table does not contain it.
fn name_of<T: PartialEq>(table: &[(&'static str, T)], operator: T) -> &'static str {
    table
        .iter()
        .find(|entry| entry.1 == operator)
        .map_or("", |entry| entry.0)
}

fn push_operand(out: &mut String, operand: &Condition, domain: Option<&Sid>) {
    match operand {
        Condition::Literal(literal) => push_literal(out, literal, domain),
        Condition::Attribute { scope, name } => {
            out.push_str(name_of(SCOPES, *scope));
            push_name(out, name, *scope == AttributeScope::Local);
        }
        // Windows never produces this form; reading the text back detects it.
        other => push_condition(out, other, domain),
    }
}

fn push_literal(out: &mut String, literal: &Literal, domain: Option<&Sid>) {
    match literal {
        Literal::Integer {
            value, sign, base, ..
        } => push_integer(out, *value, *sign, *base),
        Literal::String(text) => {
            let _ = write!(out, "\"{text}\"");
        }
        Literal::Octets(bytes) => {
            out.push('#');
            push_octets(out, bytes);
        }
        Literal::Sid(sid) => push_sid_literal(out, sid, domain),
        Literal::Composite(elements) => {
            out.push('{');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                push_literal(out, element, domain);
            }
            out.push('}');
        }
    }
}

fn push_integer(out: &mut String, value: i64, sign: IntegerSign, base: IntegerBase) {
    let magnitude = match sign {
        IntegerSign::Minus => {
            out.push('-');
            value.unsigned_abs()
        }
        IntegerSign::Plus => {
            out.push('+');
            value.cast_unsigned()
        }
        IntegerSign::None => value.cast_unsigned(),
    };
    let _ = match base {
        IntegerBase::Octal => write!(out, "0{magnitude:o}"),
        IntegerBase::Decimal => write!(out, "{magnitude}"),
        IntegerBase::Hexadecimal => write!(out, "{magnitude:#x}"),
    };
}

/// Appends bytes as hexadecimal digits.
pub(super) fn push_octets(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// Appends `SID(...)`.
pub(super) fn push_sid_literal(out: &mut String, sid: &Sid, domain: Option<&Sid>) {
    let _ = match names::account_alias(sid, domain) {
        Some(alias) => write!(out, "SID({alias})"),
        None => write!(out, "SID({sid})"),
    };
}
