//! Conditional expressions: the application data of callback entries and access filters.
//!
//! Layout: the bytes `artx`, then tokens in reverse Polish order (operands before their operator),
//! then zero bytes up to a multiple of 4. A token is one byte, followed by a value if it is a
//! literal or an attribute name. [`Condition::decode`] builds a tree from the tokens, and
//! [`Condition::encode`] writes the tree as tokens.
//!
//! Source: \[MS-DTYP\] 2.4.4.17 and its subsections.

use super::bytes::{array, len_u32, pad_to_4, push_utf16, size_u32, take, utf16};
use super::{MAX_DEPTH, SecurityError, Sid};

/// The first bytes of a conditional expression.
const MAGIC: [u8; 4] = *b"artx";

const TOKEN_STRING: u8 = 0x10;
const TOKEN_OCTETS: u8 = 0x18;
const TOKEN_COMPOSITE: u8 = 0x50;
const TOKEN_SID: u8 = 0x51;

/// A conditional expression or a part of one.
///
/// ```
/// use ntmeta::security::{AttributeScope, Condition, UnaryOperator};
///
/// let condition = Condition::Unary {
///     operator: UnaryOperator::Exists,
///     operand: Box::new(Condition::Attribute {
///         scope: AttributeScope::User,
///         name: "Title".to_owned(),
///     }),
/// };
/// let bytes = condition.encode()?;
/// assert!(bytes.starts_with(b"artx"));
/// assert_eq!(Condition::decode(&bytes)?, condition);
/// # Ok::<(), ntmeta::SecurityError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A constant.
    Literal(Literal),
    /// The value of an attribute. On its own, this tests that the attribute exists and is neither
    /// zero nor empty.
    Attribute {
        /// The owner of the attribute.
        scope: AttributeScope,
        /// The name of the attribute.
        name: String,
    },
    /// An operator with one operand.
    Unary {
        /// The operator.
        operator: UnaryOperator,
        /// The operand.
        operand: Box<Condition>,
    },
    /// An operator between two operands.
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// The operand before the operator.
        left: Box<Condition>,
        /// The operand after the operator.
        right: Box<Condition>,
    },
}

/// A constant in a conditional expression.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Literal {
    /// An integer, with the details of its text form.
    Integer {
        /// The value in two's complement; an unsigned value may use all 64 bits.
        value: i64,
        /// The width from the token; in text, the width is always 64 bits.
        width: IntegerWidth,
        /// The sign as written.
        sign: IntegerSign,
        /// The base as written.
        base: IntegerBase,
    },
    /// A string.
    String(String),
    /// An octet string.
    Octets(Vec<u8>),
    /// A SID.
    Sid(Sid),
    /// A list of literals.
    Composite(Vec<Literal>),
}

/// Declares an enum whose variants are bytes of the binary form.
macro_rules! token_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $token:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $token,)*
        }

        impl $name {
            /// Returns the variant with the given byte.
            fn from_token(token: u8) -> Option<Self> {
                match token {
                    $($token => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

token_enum! {
    /// The width of an integer literal.
    IntegerWidth {
        /// 8 bits.
        Bits8 = 0x01,
        /// 16 bits.
        Bits16 = 0x02,
        /// 32 bits.
        Bits32 = 0x03,
        /// 64 bits.
        Bits64 = 0x04,
    }
}

token_enum! {
    /// The sign of an integer literal.
    IntegerSign {
        /// Written with `+`.
        Plus = 0x01,
        /// Written with `-`.
        Minus = 0x02,
        /// Written without a sign.
        None = 0x03,
    }
}

token_enum! {
    /// The base of an integer literal.
    IntegerBase {
        /// Octal, written with a leading `0`.
        Octal = 0x01,
        /// Decimal.
        Decimal = 0x02,
        /// Hexadecimal, written with a leading `0x`.
        Hexadecimal = 0x03,
    }
}

token_enum! {
    /// The owner of an attribute.
    #[non_exhaustive]
    AttributeScope {
        /// An attribute supplied by the caller, written without a prefix.
        Local = 0xf8,
        /// `@USER.`, a claim of the user.
        User = 0xf9,
        /// `@RESOURCE.`, an attribute of the object; see [`Claim`](super::Claim).
        Resource = 0xfa,
        /// `@DEVICE.`, a claim of the device.
        Device = 0xfb,
    }
}

token_enum! {
    /// An operator with one operand.
    #[non_exhaustive]
    UnaryOperator {
        /// `Exists`.
        Exists = 0x87,
        /// `Member_of`.
        MemberOf = 0x89,
        /// `Device_Member_of`.
        DeviceMemberOf = 0x8a,
        /// `Member_of_any`.
        MemberOfAny = 0x8b,
        /// `Device_Member_of_any`.
        DeviceMemberOfAny = 0x8c,
        /// `Not_Exists`.
        NotExists = 0x8d,
        /// `Not_Member_of`.
        NotMemberOf = 0x90,
        /// `Not_Device_Member_of`.
        NotDeviceMemberOf = 0x91,
        /// `Not_Member_of_any`.
        NotMemberOfAny = 0x92,
        /// `Not_Device_Member_of_any`.
        NotDeviceMemberOfAny = 0x93,
        /// `!`.
        Not = 0xa2,
    }
}

token_enum! {
    /// An operator between two operands.
    #[non_exhaustive]
    BinaryOperator {
        /// `==`.
        Equal = 0x80,
        /// `!=`.
        NotEqual = 0x81,
        /// `<`.
        Less = 0x82,
        /// `<=`.
        LessOrEqual = 0x83,
        /// `>`.
        Greater = 0x84,
        /// `>=`.
        GreaterOrEqual = 0x85,
        /// `Contains`.
        Contains = 0x86,
        /// `Any_of`.
        AnyOf = 0x88,
        /// `Not_Contains`.
        NotContains = 0x8e,
        /// `Not_Any_of`.
        NotAnyOf = 0x8f,
        /// `&&`.
        And = 0xa0,
        /// `||`.
        Or = 0xa1,
    }
}

impl Condition {
    /// Decodes the application data of a callback entry.
    ///
    ///
    /// Returns [`SecurityError`] with the byte offset in `data` if `artx` is missing, a token is
    /// unknown, a literal is malformed, the operands do not match the operators, or the expression
    /// is nested deeper than [`MAX_DEPTH`].
    ///
    pub fn decode(data: &[u8]) -> Result<Self, SecurityError> {
        if !data.starts_with(&MAGIC) {
            return Err(SecurityError::ConditionMagic);
        }
        // Operands and the depths of their trees.
        let mut stack: Vec<(Self, usize)> = Vec::new();
        let mut offset = MAGIC.len();
        while let Some(&token) = data.get(offset) {
            if data[offset..].iter().all(|&byte| byte == 0) {
                break;
            }
            offset += decode_token(data, offset, token, &mut stack)?;
        }
        match (stack.pop(), stack.len()) {
            (Some((condition, _)), 0) => Ok(condition),
            (operand, others) => Err(SecurityError::ConditionOperands {
                offset,
                expected: 1,
                actual: others + usize::from(operand.is_some()),
            }),
        }
    }

    /// Encodes the expression, padded with zeros to a multiple of 4 bytes.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError::TooDeep`] if the expression is nested deeper than [`MAX_DEPTH`],
    /// and [`SecurityError::TooLarge`] if a value is too large for its 32-bit size field.
    pub fn encode(&self) -> Result<Vec<u8>, SecurityError> {
        let mut out = MAGIC.to_vec();
        self.encode_into(&mut out, 1)?;
        pad_to_4(&mut out);
        Ok(out)
    }

    fn encode_into(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), SecurityError> {
        check_depth(depth, 0)?;
        match self {
            // The nesting of lists is counted separately, as in `decode`.
            Self::Literal(literal) => literal.encode_into(out, 1)?,
            Self::Attribute { scope, name } => {
                out.push(*scope as u8);
                push_sized(out, |out| {
                    push_utf16(out, name);
                    Ok(())
                })?;
            }
            Self::Unary { operator, operand } => {
                operand.encode_into(out, depth + 1)?;
                out.push(*operator as u8);
            }
            Self::Binary {
                operator,
                left,
                right,
            } => {
                left.encode_into(out, depth + 1)?;
                right.encode_into(out, depth + 1)?;
                out.push(*operator as u8);
            }
        }
        Ok(())
    }
}

impl Literal {
    fn encode_into(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), SecurityError> {
        check_depth(depth, 0)?;
        match self {
            Self::Integer {
                value,
                width,
                sign,
                base,
            } => {
                out.push(*width as u8);
                out.extend_from_slice(&value.to_le_bytes());
                out.extend_from_slice(&[*sign as u8, *base as u8]);
                Ok(())
            }
            Self::String(text) => {
                out.push(TOKEN_STRING);
                push_sized(out, |out| {
                    push_utf16(out, text);
                    Ok(())
                })
            }
            Self::Octets(bytes) => {
                out.push(TOKEN_OCTETS);
                push_sized(out, |out| {
                    out.extend_from_slice(bytes);
                    Ok(())
                })
            }
            Self::Sid(sid) => {
                out.push(TOKEN_SID);
                push_sized(out, |out| {
                    out.extend(sid.to_bytes());
                    Ok(())
                })
            }
            Self::Composite(elements) => {
                out.push(TOKEN_COMPOSITE);
                push_sized(out, |out| {
                    elements
                        .iter()
                        .try_for_each(|element| element.encode_into(out, depth + 1))
                })
            }
        }
    }
}

/// Appends the output of `content`, preceded by its size as a `u32`.
fn push_sized(
    out: &mut Vec<u8>,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), SecurityError>,
) -> Result<(), SecurityError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out)?;
    let size = len_u32(out.len() - start - 4, "literal")?;
    out[start..start + 4].copy_from_slice(&size.to_le_bytes());
    Ok(())
}

fn check_depth(depth: usize, offset: usize) -> Result<(), SecurityError> {
    if depth > MAX_DEPTH {
        return Err(SecurityError::TooDeep {
            offset,
            limit: MAX_DEPTH,
        });
    }
    Ok(())
}

/// Decodes the token at `offset`, applies it to the stack and returns its size in bytes.
fn decode_token(
    data: &[u8],
    offset: usize,
    token: u8,
    stack: &mut Vec<(Condition, usize)>,
) -> Result<usize, SecurityError> {
    let operands = stack.len();
    let missing = |expected| SecurityError::ConditionOperands {
        offset,
        expected,
        actual: operands,
    };
    let (condition, depth, size) = if let Some(operator) = UnaryOperator::from_token(token) {
        let (operand, depth) = stack.pop().ok_or(missing(1))?;
        (
            Condition::Unary {
                operator,
                operand: Box::new(operand),
            },
            depth + 1,
            1,
        )
    } else if let Some(operator) = BinaryOperator::from_token(token) {
        let (right, right_depth) = stack.pop().ok_or(missing(2))?;
        let (left, left_depth) = stack.pop().ok_or(missing(2))?;
        let (left, right) = (Box::new(left), Box::new(right));
        (
            Condition::Binary {
                operator,
                left,
                right,
            },
            left_depth.max(right_depth) + 1,
            1,
        )
    } else if let Some(scope) = AttributeScope::from_token(token) {
        let bytes = sized(data, offset, "attribute name")?;
        let name = utf16(bytes, offset + 5, "attribute name")?;
        (Condition::Attribute { scope, name }, 1, 5 + bytes.len())
    } else {
        let (literal, size) = decode_literal(data, offset, 1)?;
        (Condition::Literal(literal), 1, size)
    };
    check_depth(depth, offset)?;
    stack.push((condition, depth));
    Ok(size)
}

/// Decodes the literal at `offset` and returns it with its size in bytes.
fn decode_literal(
    data: &[u8],
    offset: usize,
    depth: usize,
) -> Result<(Literal, usize), SecurityError> {
    check_depth(depth, offset)?;
    let [token] = array(data, offset, "literal")?;
    if let Some(width) = IntegerWidth::from_token(token) {
        return Ok((decode_integer(data, offset, width)?, 11));
    }
    if !matches!(
        token,
        TOKEN_STRING | TOKEN_OCTETS | TOKEN_SID | TOKEN_COMPOSITE
    ) {
        return Err(SecurityError::ConditionToken { offset, token });
    }
    let bytes = sized(data, offset, "literal")?;
    let start = offset + 5;
    let end = start + bytes.len();
    let literal = match token {
        TOKEN_STRING => Literal::String(utf16(bytes, start, "string")?),
        TOKEN_OCTETS => Literal::Octets(bytes.to_vec()),
        TOKEN_SID => Literal::Sid(decode_sid(bytes, start)?),
        _ => {
            let mut elements = Vec::new();
            let mut next = start;
            while next < end {
                let (element, size) = decode_literal(&data[..end], next, depth + 1)?;
                elements.push(element);
                next += size;
            }
            Literal::Composite(elements)
        }
    };
    Ok((literal, end - offset))
}

/// Decodes the value, sign and base that follow an integer token.
fn decode_integer(
    data: &[u8],
    offset: usize,
    width: IntegerWidth,
) -> Result<Literal, SecurityError> {
    let value = i64::from_le_bytes(array(data, offset + 1, "integer")?);
    let [sign, base] = array(data, offset + 9, "integer")?;
    let invalid = |structure, offset, actual: u8| SecurityError::InvalidValue {
        structure,
        offset,
        actual: actual.into(),
    };
    Ok(Literal::Integer {
        value,
        width,
        sign: IntegerSign::from_token(sign).ok_or(invalid("integer sign", offset + 9, sign))?,
        base: IntegerBase::from_token(base).ok_or(invalid("integer base", offset + 10, base))?,
    })
}

/// Decodes a SID that must fill `bytes`, which start at `offset`.
fn decode_sid(bytes: &[u8], offset: usize) -> Result<Sid, SecurityError> {
    let sid = Sid::parse(bytes)?;
    if sid.encoded_len() != bytes.len() {
        let actual = bytes.len() as u64;
        return Err(SecurityError::InvalidValue {
            structure: "size of a SID",
            offset,
            actual,
        });
    }
    Ok(sid)
}

/// Returns the bytes that follow a token byte and a `u32` size.
fn sized<'a>(
    data: &'a [u8],
    offset: usize,
    structure: &'static str,
) -> Result<&'a [u8], SecurityError> {
    let size = size_u32(data, offset + 1, structure)?;
    take(data, offset + 5, size, structure)
}

#[cfg(test)]
pub(super) mod tests;
