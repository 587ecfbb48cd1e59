//! Tests of SDDL in both directions.

use proptest::prelude::*;

use super::super::ace::tests::any_ace;
use super::super::claim::tests::any_claim;
use super::super::condition::tests::any_condition;
use super::super::sid::tests::any_sid;
use super::super::{
    Ace, AceBody, AceFlags, AceType, Acl, AclSlot, Condition, ControlFlags, IntegerBase,
    IntegerSign, IntegerWidth, Literal, MAX_DEPTH, SecurityError,
};
use super::*;

fn read(text: &str) -> SecurityDescriptor {
    SecurityDescriptor::from_sddl(text).unwrap_or_else(|err| panic!("{text}: {err}"))
}

fn aces(slot: &AclSlot) -> &[Ace] {
    match slot {
        AclSlot::Present(acl) => &acl.aces,
        other => panic!("{other:?}"),
    }
}

/// Returns the application data of the first entry of the DACL.
fn first_data(descriptor: &SecurityDescriptor) -> &[u8] {
    match &aces(&descriptor.dacl)[0].body {
        AceBody::Trustee { data, .. } => data,
        AceBody::Raw(bytes) => bytes,
    }
}

/// Returns a descriptor with only `ace` in its DACL.
fn with_ace(ace: Ace) -> SecurityDescriptor {
    SecurityDescriptor {
        dacl: AclSlot::Present(Acl::new(vec![ace])),
        control: ControlFlags::SELF_RELATIVE | ControlFlags::DACL_PRESENT,
        ..SecurityDescriptor::default()
    }
}

fn callback(data: Vec<u8>) -> Ace {
    let sid = Sid::new(1, &[0]).unwrap();
    let body = AceBody::Trustee {
        mask: 1,
        object: None,
        sid,
        data,
    };
    Ace {
        ace_type: AceType::ACCESS_ALLOWED_CALLBACK,
        flags: AceFlags::empty(),
        body,
    }
}

#[test]
fn canonical_text_survives_a_round_trip() {
    for text in [
        "O:SYG:SY",
        "G:BA",
        "D:",
        "D:P",
        "S:AI",
        "D:S:PARAI",
        "D:NO_ACCESS_CONTROL",
        "D:PNO_ACCESS_CONTROLS:NO_ACCESS_CONTROL",
        "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(D;OICINPIOID;GXGWGR;;;S-1-5-80-0)(A;;;;;WD)",
        "S:(AU;SAFA;FA;;;WD)(AL;CR;0x1200a9;;;BU)(ML;;NWNX;;;LW)(SP;;;;;S-1-17-1)",
        "S:(TL;;0x1301bf;;;S-1-19-512-4096)",
        "S:(FL;TP;FX;;;WD;(@USER.a))",
        "D:(OA;CIIO;WP;;bf967aba-0de6-11d0-a285-00aa003049e2;PS)(OD;;CR;;;BA)",
        "D:(ZA;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;WD;(Exists @RESOURCE.x))",
        "D:(A;;CC;;;S-1-0x12A05F200-30-40)",
        "D:(XA;;FX;;;WD;((@USER.Title == \"PM\") && (!(Member_of_any {SID(BA), SID(WD)}))))",
        "D:(XD;;CC;;;WD;(a.b/c == {-1, +2, 03, 0x4, \"x y\", #00ff, {}}))",
        "D:(XA;;CC;;;WD;(@DEVICE.a%0020b%0025%d83d%de00 Not_Any_of @RESOURCE.{c}))",
        "D:(XA;;CC;;;WD;(@DEVICE.a == 0xffffffffffffffff))",
        "S:(XU;SA;FA;;;WD;(((@USER.A) && (@DEVICE.B)) || (@USER.C)))",
        "S:(RA;;;;;WD;(\"Project\",TS,0x2,\"Windows\",\"SQL\"))(RA;;;;;WD;(\"n\",TI,0x0,-8,7))",
        "S:(RA;;;;;WD;(\"n%0016\",TX,0x0,0077,,ff))(RA;;;;;WD;(\"n\",TD,0x0,SID(BA)))",
        "S:(RA;;;;;WD;(\"n\",TU,0xe,18446744073709551615))(RA;;;;;WD;(\"n\",TB,0x0,1,0))",
    ] {
        assert_eq!(read(text).to_sddl().unwrap(), text);
    }
}

#[test]
fn other_spellings_mean_the_same() {
    for (text, expected) in [
        (" O:BA G:SY ", "O:BAG:SY"),
        ("G:SYO:BA", "O:BAG:SY"),
        ("S:D:P", "D:PS:"),
        ("O:S-1-2-0x2D:(A;;GA;;;s-1-5-18)", "O:S-1-2-2D:(A;;GA;;;SY)"),
        ("D:AIPARP(a;oici;ga;;;wd)", "D:PARAI(A;OICI;GA;;;WD)"),
        (
            "D: P (A; ;GA; ; ; WD ) (A;;GX;;;AA)",
            "D:P(A;;GA;;;WD)(A;;GX;;;AA)",
        ),
        ("D:(A;;RP LCLO  RC;;;AU)", "D:(A;;LCRPLORC;;;AU)"),
        ("D:(A;;01234567;;;WD)", "D:(A;;0x53977;;;WD)"),
        (
            "D:(A;;17;;;WD)(A;;0;;;WD)(A;;0x1f01ff;;;WD)",
            "D:(A;;CCRP;;;WD)(A;;;;;WD)(A;;FA;;;WD)",
        ),
        (
            "D:(A;;FAGX;;;SY)(A;;KX;;;SY)",
            "D:(A;;0x201f01ff;;;SY)(A;;KR;;;SY)",
        ),
        (
            "D:(XA;;;;;WD;(a==1&&b||!(c)))",
            "D:(XA;;;;;WD;(((a == 1) && (b)) || (!(c))))",
        ),
        (
            "D:(XA;;;;;WD; ( member_OF((sid(BA))) ))",
            "D:(XA;;;;;WD;(Member_of SID(BA)))",
        ),
        (
            "D:(XA;;;;;WD;(a==##1#2#3##))",
            "D:(XA;;;;;WD;(a == #01020300))",
        ),
        (
            "D:(XA;;;;;WD;(a==#1#2#3##))",
            "D:(XA;;;;;WD;(a == #01020300))",
        ),
        (
            "S:(RA;;;;;WD;( \"n\" , tx , 1 , #0102 ))",
            "S:(RA;;;;;WD;(\"n\",TX,0x1,0102))",
        ),
    ] {
        assert_eq!(read(text).to_sddl().unwrap(), expected, "{text}");
    }
}

#[test]
fn malformed_text_is_rejected_with_its_position() {
    use SddlError as E;
    let place = |text: &str| match SecurityDescriptor::from_sddl(text) {
        Err(E::Unexpected { offset, .. }) => offset,
        other => panic!("{text}: {other:?}"),
    };
    for (text, offset) in [
        ("garbage", 0),
        ("o:BA", 0),
        ("O:BAZ:", 4),
        ("D:X", 2),
        ("D :S:", 0),
        ("D:P:S:", 3),
        ("D:(A;;FA;;;BA", 13),
        ("D:(A;;GA;;)", 10),
        ("D:(A;;GA;;;BA;x)", 13),
        ("D:((A;;GA;;;WD))", 3),
        ("D:NO_ACCESS_CONTROL(A;;GA;;;WD)", 19),
        ("D:(XA;;FA;;;WD)", 14),
        ("D:(XA;;FA;;;WD;())", 16),
        ("D:(XA;;FA;;;WD;(a == b))", 21),
        ("D:(XA;;FA;;;WD;(! Member_of {SID(BA)}))", 18),
        ("D:(XA;;FA;;;WD;(a == \"x))", 25),
        ("D:(XA;;FA;;;WD;(@USER.a == !(@USER.a)))", 27),
        ("S:(RA;;;;;WD;(\"n\",TQ,0))", 18),
        ("D:(XA;;FA;;;WD;(a == \"x\0\"))", 23),
    ] {
        assert_eq!(place(text), offset, "{text}");
    }
}

#[test]
fn malformed_fields_are_named() {
    for (text, expected) in [
        ("", "security descriptor has no owner, group, DACL or SACL"),
        ("O:BAO:BA", "component `O:` occurs a second time at byte 4"),
        ("O:XX", "`XX` at byte 2 is not a SID"),
        ("O:", "`` at byte 2 is not a SID"),
        (
            "D:(A;;FA;;;DA)",
            "alias `DA` at byte 11 needs a domain, but none is known",
        ),
        ("D:(Q;;FA;;;BA)", "`Q` at byte 3 is not an ACE type"),
        (
            "D:(A;XX;FA;;;BA)",
            "`XX` at byte 5 is not a set of ACE flags",
        ),
        (
            "D:(A;;FAX;;;BA)",
            "`FAX` at byte 6 is not a set of access rights",
        ),
        (
            "D:(A;;GA ;;;BA)",
            "`GA ` at byte 6 is not a set of access rights",
        ),
        (
            "D:(A;;0x100000000;;;BA)",
            "`0x100000000` at byte 6 is not a set of access rights",
        ),
        (
            "D:(A;;-1;;;BA)",
            "`-1` at byte 6 is not a set of access rights",
        ),
        (
            "D:(A;;aé;;;BA)",
            "`aé` at byte 6 is not a set of access rights",
        ),
        (
            "D:(A;;GA;bf967aba-0de6-11d0-a285-00aa003049e2;;BA)",
            "`bf967aba-0de6-11d0-a285-00aa003049e2` at byte 9 is not a GUID, \
             or its ACE cannot have one",
        ),
        (
            "D:(XA;;;;;WD;(@USER.b == 0x10000000000000000))",
            "`0x10000000000000000` at byte 25 is not a number that fits into 64 bits",
        ),
        (
            "D:(XA;;;;;WD;(@USER.a%00))",
            "`a%00` at byte 20 is not an attribute name",
        ),
        (
            "D:(XA;;;;;WD;(@USER. == 1))",
            "`` at byte 20 is not an attribute name",
        ),
        (
            "D:(XA;;;;;WD;(@USER.a%+012))",
            "`a%+012` at byte 20 is not an attribute name",
        ),
    ] {
        let error = SecurityDescriptor::from_sddl(text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn domain_accounts_need_the_domain() {
    let domain = Some("S-1-5-21-1-2-3".parse().unwrap());
    let options = SddlOptions { domain };
    let text = "O:LAG:DUD:(A;;FA;;;DA)(XA;;FA;;;EA;(Member_of {SID(DG)}))";
    let descriptor = SecurityDescriptor::from_sddl_with(text, &options).unwrap();
    assert_eq!(
        descriptor.owner.as_ref().unwrap().to_string(),
        "S-1-5-21-1-2-3-500"
    );
    assert_eq!(descriptor.to_sddl_with(&options).unwrap(), text);
    assert_eq!(
        descriptor.to_sddl().unwrap(),
        "O:S-1-5-21-1-2-3-500G:S-1-5-21-1-2-3-513D:(A;;FA;;;S-1-5-21-1-2-3-512)\
         (XA;;FA;;;S-1-5-21-1-2-3-519;(Member_of {SID(S-1-5-21-1-2-3-514)}))"
    );
}

#[test]
fn null_and_empty_lists_differ() {
    assert_eq!(read("D:NO_ACCESS_CONTROL").dacl, AclSlot::Null);
    assert_eq!(aces(&read("D:").dacl), []);
    assert_eq!(read("O:BA").dacl, AclSlot::Absent);
}

#[test]
fn object_entries_raise_the_revision_of_their_list() {
    let revision = |text| match read(text).dacl {
        AclSlot::Present(acl) => acl.revision,
        other => panic!("{other:?}"),
    };
    assert_eq!(revision("D:(XA;;FA;;;WD;(a))(A;;FA;;;WD)"), Acl::REVISION);
    assert_eq!(revision("D:(OA;;CR;;;WD)"), Acl::REVISION_DS);
}

#[test]
fn condition_has_the_bytes_that_windows_writes() {
    let descriptor = read("D:(XA;;CC;;;WD;(@User.a == {SID(BA), \"b\", 1} || !(c)))");
    let expected = [
        b"artx\xf9\x02\0\0\0a\0".as_slice(),
        b"\x50\x27\0\0\0",
        b"\x51\x10\0\0\0\x01\x02\0\0\0\0\0\x05\x20\0\0\0\x20\x02\0\0",
        b"\x10\x02\0\0\0b\0",
        b"\x04\x01\0\0\0\0\0\0\0\x03\x02",
        b"\x80\xf8\x02\0\0\0c\0\xa2\xa1\0\0\0",
    ];
    assert_eq!(first_data(&descriptor), expected.concat());
}

#[test]
fn data_without_a_text_form_is_an_error() {
    let error = with_ace(callback(b"otherdata".to_vec()))
        .to_sddl()
        .unwrap_err();
    let source = SecurityError::ConditionMagic;
    assert_eq!(
        error,
        SddlError::InvalidData {
            acl: 'D',
            ace: 0,
            source
        }
    );
    let lossy = SddlError::Lossy { acl: 'D', ace: 0 };
    let literal = |literal| Condition::Unary {
        operator: super::super::UnaryOperator::MemberOf,
        operand: Box::new(Condition::Literal(literal)),
    };
    let byte = Literal::Integer {
        value: 1,
        width: IntegerWidth::Bits8,
        sign: IntegerSign::None,
        base: IntegerBase::Decimal,
    };
    for literal in [literal(byte), literal(Literal::String("a\"b".to_owned()))] {
        let ace = callback(literal.encode().unwrap());
        assert_eq!(with_ace(ace).to_sddl(), Err(lossy.clone()));
    }
    let mut ace = callback(vec![0, 0, 0, 1]);
    ace.ace_type = AceType::ACCESS_ALLOWED;
    assert_eq!(with_ace(ace).to_sddl(), Err(lossy));
}

#[test]
fn entry_type_without_a_name_is_an_error() {
    let body = AceBody::Raw(Vec::new());
    let ace_type = AceType(0x40);
    let ace = Ace {
        ace_type,
        flags: AceFlags::empty(),
        body,
    };
    let expected = SddlError::UnprintableType {
        acl: 'D',
        ace: 0,
        ace_type,
    };
    assert_eq!(with_ace(ace).to_sddl(), Err(expected));
    assert_eq!(
        SecurityDescriptor::default().to_sddl(),
        Err(SddlError::Empty)
    );
}

#[test]
fn nesting_and_size_are_bounded() {
    let nested = |count| {
        let (open, close) = ("(".repeat(count), ")".repeat(count));
        SecurityDescriptor::from_sddl(&format!("D:(XA;;;;;WD;{open}a{close})"))
    };
    assert!(nested(MAX_DEPTH).is_ok());
    assert!(matches!(nested(100_000), Err(SddlError::TooDeep { .. })));
    for part in ["!(", "{", "Member_of("] {
        let text = format!("D:(XA;;;;;WD;(a=={}", part.repeat(100_000));
        assert!(SecurityDescriptor::from_sddl(&text).is_err());
    }
    for chain in ["a||", "a&&"] {
        let text = format!("D:(XA;;;;;WD;({}a))", chain.repeat(100_000));
        let error = SecurityDescriptor::from_sddl(&text).unwrap_err();
        assert!(matches!(error, SddlError::TooDeep { .. }));
    }
    let text = format!("D:{}", "(A;;FA;;;WD)".repeat(3300));
    let error = SecurityDescriptor::from_sddl(&text).unwrap_err();
    assert!(matches!(
        error,
        SddlError::Security(SecurityError::TooLarge { .. })
    ));
}

/// Any entry with a text form.
fn any_text_ace() -> impl Strategy<Value = Ace> {
    let condition = any_condition().prop_map(|condition| condition.encode().unwrap());
    let claim = any_claim().prop_map(|claim| claim.encode().unwrap());
    (any_ace(), condition, claim).prop_filter_map("type without a name", |(mut ace, cond, cl)| {
        names::ace_type_name(ace.ace_type)?;
        let AceBody::Trustee { object, data, .. } = &mut ace.body else {
            return None;
        };
        *data = if ace.ace_type.is_conditional() {
            cond
        } else if ace.ace_type == AceType::SYSTEM_RESOURCE_ATTRIBUTE {
            cl
        } else {
            Vec::new()
        };
        if let Some(object) = object {
            object.other_flags = 0;
        }
        Some(ace)
    })
}

fn any_text_slot() -> impl Strategy<Value = AclSlot> {
    let aces = proptest::collection::vec(any_text_ace(), 0..4);
    prop_oneof![
        1 => Just(AclSlot::Absent),
        1 => Just(AclSlot::Null),
        4 => aces.prop_map(|aces| AclSlot::Present(Acl::new(aces))),
    ]
}

/// Any descriptor whose text form is complete.
fn any_text_descriptor() -> impl Strategy<Value = SecurityDescriptor> {
    let sid = || proptest::option::of(any_sid());
    let parts = (sid(), sid(), any_text_slot(), any_text_slot());
    (any::<u16>(), parts).prop_map(|(bits, (owner, group, sacl, dacl))| {
        use ControlFlags as C;
        let mut control = C::SELF_RELATIVE;
        if sacl != AclSlot::Absent {
            let named = C::SACL_PROTECTED | C::SACL_AUTO_INHERIT_REQ | C::SACL_AUTO_INHERITED;
            control |= C::SACL_PRESENT | (C::from_bits_retain(bits) & named);
        }
        if dacl != AclSlot::Absent {
            let named = C::DACL_PROTECTED | C::DACL_AUTO_INHERIT_REQ | C::DACL_AUTO_INHERITED;
            control |= C::DACL_PRESENT | (C::from_bits_retain(bits) & named);
        }
        let resource_manager_control = 0;
        SecurityDescriptor {
            control,
            resource_manager_control,
            owner,
            group,
            sacl,
            dacl,
        }
    })
}

proptest! {
    #[test]
    fn write_then_read_is_lossless(descriptor in any_text_descriptor()) {
        match descriptor.to_sddl() {
            Ok(text) => prop_assert_eq!(SecurityDescriptor::from_sddl(&text).unwrap(), descriptor),
            // A random attribute name can be an operator's.
            Err(SddlError::Lossy { .. } | SddlError::Empty) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn any_binary_has_text_or_an_error(
        ace in any_ace(),
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = with_ace(ace).to_sddl();
        let _ = with_ace(callback([b"artx\xf8\x02\0\0\0a\0".as_slice(), &data].concat())).to_sddl();
    }

    #[test]
    fn garbage_never_panics(text in ".{0,60}") {
        let _ = SecurityDescriptor::from_sddl(&text);
    }

    #[test]
    fn garbage_of_sddl_never_panics(
        parts in proptest::collection::vec(prop_oneof![
            Just("O:"), Just("D:"), Just("S:"), Just("(A;"), Just("(XA;;;;;WD;("), Just("BA"),
            Just("(RA;;;;;WD;("), Just(";"), Just(")"), Just("("), Just("S-1-5-18"), Just("FA"),
            Just("@USER.a"), Just("é"), Just(" "), Just("=="), Just("{"), Just("}"), Just("\""),
            Just(","), Just("TX"), Just("TS"), Just("0x1"), Just("-5"), Just("#1"), Just("SID("),
            Just("&&"), Just("!"), Just("Member_of"), Just("Contains"), Just("%0041"), Just("%é"),
        ], 0..20),
    ) {
        let text = parts.concat();
        if let Ok(descriptor) = SecurityDescriptor::from_sddl(&text) {
            let again = descriptor.to_sddl().unwrap();
            prop_assert_eq!(SecurityDescriptor::from_sddl(&again).unwrap(), descriptor);
        }
    }
}
