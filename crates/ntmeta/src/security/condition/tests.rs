//! Tests of the binary form of conditional expressions.

use proptest::prelude::*;

use super::super::sid::tests::any_sid;
use super::*;

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z][a-zA-Z0-9_./:]{0,8}", "[^\0]{1,6}"]
}

fn any_integer() -> impl Strategy<Value = Literal> {
    use IntegerBase::{Decimal, Hexadecimal, Octal};
    let base = prop_oneof![Just(Octal), Just(Decimal), Just(Hexadecimal)];
    (any::<i64>(), base).prop_map(|(value, base)| {
        let sign = if value < 0 {
            IntegerSign::Minus
        } else {
            IntegerSign::None
        };
        Literal::Integer {
            value,
            width: IntegerWidth::Bits64,
            sign,
            base,
        }
    })
}

fn any_literal() -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![
        any_integer(),
        "[^\0\"]{0,8}".prop_map(Literal::String),
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(Literal::Octets),
        any_sid().prop_map(Literal::Sid),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(Literal::Composite)
    })
}

fn any_attribute() -> impl Strategy<Value = Condition> {
    use AttributeScope::{Device, Local, Resource, User};
    let scope = prop_oneof![Just(Local), Just(User), Just(Resource), Just(Device)];
    (scope, any_name()).prop_map(|(scope, name)| Condition::Attribute { scope, name })
}

fn any_comparison() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![0x80u8..=0x86, Just(0x88u8), 0x8eu8..=0x8f]
        .prop_map(|token| BinaryOperator::from_token(token).unwrap());
    (operator, any_attribute(), any_literal()).prop_map(|(operator, left, right)| {
        let (left, right) = (Box::new(left), Box::new(Condition::Literal(right)));
        Condition::Binary {
            operator,
            left,
            right,
        }
    })
}

fn any_membership() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![0x89u8..=0x8c, 0x90u8..=0x93]
        .prop_map(|token| UnaryOperator::from_token(token).unwrap());
    (operator, any_literal()).prop_map(|(operator, literal)| Condition::Unary {
        operator,
        operand: Box::new(Condition::Literal(literal)),
    })
}

/// Any condition with a text form.
pub(crate) fn any_condition() -> impl Strategy<Value = Condition> {
    let existence = prop_oneof![Just(UnaryOperator::Exists), Just(UnaryOperator::NotExists)];
    let existence =
        (existence, any_attribute()).prop_map(|(operator, attribute)| Condition::Unary {
            operator,
            operand: Box::new(attribute),
        });
    let leaf = prop_oneof![
        any_attribute(),
        any_comparison(),
        any_membership(),
        existence
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        let operator = prop_oneof![Just(BinaryOperator::And), Just(BinaryOperator::Or)];
        let logical =
            (operator, inner.clone(), inner.clone()).prop_map(|(operator, left, right)| {
                Condition::Binary {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                }
            });
        let negated = inner.prop_map(|operand| Condition::Unary {
            operator: UnaryOperator::Not,
            operand: Box::new(operand),
        });
        prop_oneof![2 => logical, 1 => negated]
    })
}

/// `artx`, a local attribute `a`, and `rest`.
fn expression(rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"artx\xf8\x02\0\0\0a\0".to_vec();
    bytes.extend_from_slice(rest);
    bytes
}

#[test]
fn operands_come_before_their_operator() {
    let bytes = expression(&[4, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0x80, 0]);
    let condition = Condition::decode(&bytes).unwrap();
    let Condition::Binary {
        operator: BinaryOperator::Equal,
        left,
        right,
    } = &condition
    else {
        panic!("{condition:?}")
    };
    let name = "a".to_owned();
    assert_eq!(
        **left,
        Condition::Attribute {
            scope: AttributeScope::Local,
            name
        }
    );
    assert!(matches!(
        **right,
        Condition::Literal(Literal::Integer { value: 1, .. })
    ));
    assert_eq!(condition.encode().unwrap(), bytes);
}

#[test]
fn malformed_expressions_are_rejected() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "ConditionMagic"),
        (b"artx", "ConditionOperands"),
        (b"artx\xa2", "ConditionOperands"),
        (&expression(&[0xa0]), "ConditionOperands"),
        (&expression(b"\xf8\0\0\0\0"), "ConditionOperands"),
        (&expression(&[0, 1]), "ConditionToken"),
        (&expression(&[0x10, 255, 255, 255, 255]), "Truncated"),
        (&expression(&[0x10, 1, 0, 0, 0, 65]), "InvalidString"),
        (
            &expression(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
            "InvalidValue",
        ),
    ];
    for (bytes, expected) in cases {
        let error = format!("{:?}", Condition::decode(bytes).unwrap_err());
        assert!(error.starts_with(expected), "{bytes:?}: {error}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nots = |count: usize| expression(&vec![0xa2; count]);
    assert!(Condition::decode(&nots(MAX_DEPTH - 1)).is_ok());
    let error = Condition::decode(&nots(60_000)).unwrap_err();
    assert!(matches!(
        error,
        SecurityError::TooDeep {
            limit: MAX_DEPTH,
            ..
        }
    ));
    let mut composite = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![TOKEN_COMPOSITE];
        outer.extend((composite.len() as u32).to_le_bytes());
        if composite.len() > 60_000 {
            break;
        }
        outer.append(&mut composite);
        composite = outer;
    }
    let error = Condition::decode(&[b"artx", &composite[..]].concat()).unwrap_err();
    assert!(matches!(error, SecurityError::TooDeep { .. }));
}

proptest! {
    #[test]
    fn encode_then_decode_is_lossless(condition in any_condition()) {
        let bytes = condition.encode().unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert_eq!(Condition::decode(&bytes).unwrap(), condition);
    }

    #[test]
    fn garbage_never_panics(rest in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(condition) = Condition::decode(&expression(&rest)) {
            let again = condition.encode().unwrap();
            prop_assert_eq!(Condition::decode(&again).unwrap(), condition);
        }
    }
}
