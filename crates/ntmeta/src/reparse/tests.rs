//! Decoding accepts the right buffers, encoding has a fixed layout, and targets keep their meaning.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn symlink(substitute_name: &str, print_name: &str, flags: u32) -> Symlink {
    Symlink {
        substitute_name: units(substitute_name),
        print_name: units(print_name),
        flags,
    }
}

fn mount_point(substitute_name: &str, print_name: &str) -> ReparsePoint {
    ReparsePoint::MountPoint(MountPoint {
        substitute_name: units(substitute_name),
        print_name: units(print_name),
    })
}

/// Returns the buffer of a symbolic link: four name fields, flags, name area.
fn buffer(fields: [u16; 4], flags: u32, names: &str) -> Vec<u8> {
    let mut bytes = b"\x0c\0\0\xa0\0\0\0\0".to_vec();
    bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    bytes.extend(flags.to_le_bytes());
    bytes.extend(names.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

#[test]
fn absolute_targets_get_the_object_manager_prefix() {
    for (target, substitute_name, flags) in [
        ("target.txt", "target.txt", 1),
        (r"\rooted", r"\rooted", 1),
        ("", "", 1),
        ("é:x", "é:x", 1),
        (r"C:\x", r"\??\C:\x", 0),
        ("c:relative", r"\??\c:relative", 0),
        (r"\\server\share", r"\??\UNC\server\share", 0),
        (r"\\?\GLOBALROOT\x", r"\??\GLOBALROOT\x", 0),
        (r"\\.\pipe\x", r"\??\UNC\.\pipe\x", 0),
    ] {
        let link = ReparsePoint::from_target(target.as_bytes(), false).unwrap();
        let expected = symlink(substitute_name, target, flags);
        assert_eq!(link, ReparsePoint::Symlink(expected));
        let junction = ReparsePoint::from_target(target.as_bytes(), true).unwrap();
        assert_eq!(junction, mount_point(substitute_name, target));
        assert_eq!(junction.target().unwrap(), target.as_bytes());
    }
}

#[test]
fn buffer_holds_substitute_name_then_print_name() {
    let bytes = ReparsePoint::from_target(b"C:", true)
        .unwrap()
        .encode()
        .unwrap();
    let expected = b"\x03\0\0\xa0\x1c\0\0\0\0\0\x0c\0\x0e\0\x04\0\
        \\\0?\0?\0\\\0C\0:\0\0\0C\0:\0\0\0";
    assert_eq!(bytes, expected);
}

#[test]
fn substitute_name_decides_the_target() {
    for (substitute_name, print_name, flags, target) in [
        (r"\??\C:\a", r"C:\a", 0, r"C:\a"),
        (r"\??\C:\a", "b.c", 0, r"C:\a"),
        (r"\??\C:\a", "", 0, r"C:\a"),
        (r"\??\UNC\server\share", "", 0, r"\\server\share"),
        (r"\??\UNC\?\share", "", 0, r"\\?\UNC\?\share"),
        (r"\??\unc\server\share", "", 0, r"\\?\unc\server\share"),
        (r"\??\Volume{1}\", "", 0, r"\\?\Volume{1}\"),
        (r"\??\Volume{1}\", r"\\?\Volume{1}\", 0, r"\\?\Volume{1}\"),
        (
            r"\Device\Disk",
            r"\Device\Disk",
            0,
            r"\\?\GLOBALROOT\Device\Disk",
        ),
        ("ab", "cd", 1, "ab"),
        (r"..\x", r"..\x", 1, r"..\x"),
    ] {
        let link = ReparsePoint::Symlink(symlink(substitute_name, print_name, flags));
        assert_eq!(link.target().unwrap(), target.as_bytes());
    }
    let device = mount_point(r"\Device\Disk", "");
    assert_eq!(device.target().unwrap(), br"\Device\Disk");
    let volume = mount_point(r"\??\Volume{1}\", "");
    assert_eq!(volume.target().unwrap(), br"\\?\Volume{1}\");
}

#[test]
fn names_may_be_anywhere_in_the_name_area() {
    for (bytes, expected) in [
        (buffer([2, 4, 0, 2], 1, "pss"), symlink("ss", "p", 1)),
        (buffer([0, 4, 0, 4], 1, "ab"), symlink("ab", "ab", 1)),
        (buffer([0, 4, 4, 5], 1, "abcde"), symlink("ab", "cd", 1)),
        (buffer([0, 2, 2, 2], 0, "ab and more"), symlink("a", "b", 0)),
    ] {
        assert_eq!(
            ReparsePoint::decode(&bytes),
            Ok(ReparsePoint::Symlink(expected))
        );
    }
}

#[test]
fn truncated_buffers_are_rejected() {
    let truncated = |expected, actual| ReparseError::Truncated { expected, actual };
    let out_of_bounds = |offset, end, actual| ReparseError::NameOutOfBounds {
        offset,
        end,
        actual,
    };
    for (bytes, expected) in [
        (vec![], truncated(8, 0)),
        (b"\x0c\0\0\xa0".to_vec(), truncated(8, 4)),
        (b"\x0c\0\0\xa0\x28\0\0\0".to_vec(), truncated(20, 8)),
        (b"\x03\0\0\xa0\x28\0\0\0".to_vec(), truncated(16, 8)),
        (b"\0\0\0\0\x04\0\0\0\0\0\0\0".to_vec(), truncated(24, 12)),
        (buffer([0, 4, 0, 2], 1, "a"), out_of_bounds(20, 24, 22)),
        (
            buffer([0, 2, 0xfff0, 0xffff], 1, "a"),
            out_of_bounds(65_540, 131_075, 22),
        ),
        (
            buffer([0, 3, 0, 2], 1, "ab"),
            ReparseError::OddSubstituteName {
                offset: 20,
                actual: 3,
            },
        ),
    ] {
        assert_eq!(ReparsePoint::decode(&bytes), Err(expected), "{bytes:x?}");
    }
}

#[test]
fn other_tags_keep_their_data() {
    let guid = *b"0123456789abcdef";
    for (bytes, tag, guid, data) in [
        (
            &b"\x1f\0\0\xa0\0\0\0\0"[..],
            ReparseTag::WCI_TOMBSTONE,
            None,
            &b""[..],
        ),
        (
            b"\x1d\0\0\xa0\x05\0\0\0\x02\0\0\0t",
            ReparseTag::LX_SYMLINK,
            None,
            b"\x02\0\0\0t",
        ),
        (
            b"\x34\x12\0\0\x01\0\0\x000123456789abcdefx",
            ReparseTag(0x1234),
            Some(guid),
            b"x",
        ),
    ] {
        let data = data.to_vec();
        let point = ReparsePoint::Other { tag, guid, data };
        assert_eq!(ReparsePoint::decode(bytes).as_ref(), Ok(&point));
        assert_eq!(point.encode().unwrap(), bytes);
        assert_eq!(point.target(), None);
        assert_eq!(point.tag(), tag);
    }
    assert_eq!(
        ReparsePoint::decode(b"\x17\0\0\x80\x05\0\0\0abcd"),
        Err(ReparseError::DataLength {
            tag: ReparseTag::WOF,
            expected: 5,
            actual: 4
        })
    );
}

#[test]
fn only_non_microsoft_tags_have_a_guid() {
    for (tag, guid) in [(ReparseTag::WOF, Some([1; 16])), (ReparseTag(5), None)] {
        let data = Vec::new();
        let expected = !tag.is_microsoft();
        let point = ReparsePoint::Other { tag, guid, data };
        assert_eq!(point.encode(), Err(ReparseError::Guid { tag, expected }));
    }
}

#[test]
fn data_longer_than_16_bits_is_rejected() {
    let too_long = |tag, actual| ReparseError::TooLong {
        tag,
        actual,
        limit: 65_535,
    };
    let text = [b'x'; 16_381];
    for (length, is_mount_point, tag, actual) in [
        (16_380, false, ReparseTag::SYMLINK, 65_536),
        (16_381, true, ReparseTag::MOUNT_POINT, 65_536),
    ] {
        let target = &text[..length];
        let made = ReparsePoint::from_target(target, is_mount_point);
        assert_eq!(made, Err(too_long(tag, actual)));
        let shorter = ReparsePoint::from_target(&target[1..], is_mount_point).unwrap();
        assert_eq!(shorter.encode().unwrap().len(), 8 + actual - 4);
    }
    let data = vec![0; 65_536];
    let (tag, guid) = (ReparseTag::WOF, None);
    let wof = ReparsePoint::Other { tag, guid, data };
    assert_eq!(wof.encode(), Err(too_long(tag, 65_536)));
}

fn path_units() -> impl Strategy<Value = Vec<u16>> {
    let start = prop_oneof![
        Just(""),
        Just("\\"),
        Just("\\\\"),
        Just(r"\\?\"),
        Just(r"\??\"),
        Just(r"\??\UNC\"),
        Just(r"\??\C:"),
        Just("C:"),
        Just(r"\Device"),
    ];
    (
        start,
        vec(prop_oneof![Just(0x5c_u16), Just(0x3f), any::<u16>()], 0..8),
    )
        .prop_map(|(start, rest)| start.encode_utf16().chain(rest).collect())
}

proptest! {
    #[test]
    fn links_survive(substitute_name in path_units(), print_name in path_units(), flags: u32) {
        let link = ReparsePoint::Symlink(Symlink {
            substitute_name: substitute_name.clone(),
            print_name: print_name.clone(),
            flags,
        });
        prop_assert_eq!(ReparsePoint::decode(&link.encode().unwrap()), Ok(link));
        let junction = ReparsePoint::MountPoint(MountPoint { substitute_name, print_name });
        prop_assert_eq!(ReparsePoint::decode(&junction.encode().unwrap()), Ok(junction));
    }

    #[test]
    fn other_tags_survive(number: u32, guid: [u8; 16], data: Vec<u8>) {
        let tag = ReparseTag(number);
        prop_assume!(tag != ReparseTag::SYMLINK && tag != ReparseTag::MOUNT_POINT);
        let guid = (!tag.is_microsoft()).then_some(guid);
        let point = ReparsePoint::Other { tag, guid, data };
        prop_assert_eq!(ReparsePoint::decode(&point.encode().unwrap()), Ok(point));
    }

    #[test]
    fn targets_survive(target in path_units(), is_mount_point: bool) {
        let target = crate::wide::to_wtf8(&target);
        let point = ReparsePoint::from_target(&target, is_mount_point).unwrap();
        prop_assert_eq!(point.target(), Some(target));
    }

    #[test]
    fn substitute_names_of_absolute_links_survive(
        rest in path_units(),
        print_name in path_units(),
    ) {
        let substitute_name: Vec<u16> = units(r"\??\").into_iter().chain(rest).collect();
        let flags = 0;
        let link = Symlink { substitute_name, print_name, flags };
        let Symlink { substitute_name, print_name, .. } = link.clone();
        let junction = MountPoint { substitute_name, print_name };

        let target = ReparsePoint::Symlink(link.clone()).target().unwrap();
        let again = Symlink::from_print_name(crate::wide::from_wtf8(&target));
        prop_assert_eq!((again.substitute_name, again.flags), (link.substitute_name, flags));
        let target = ReparsePoint::MountPoint(junction.clone()).target().unwrap();
        let again = MountPoint::from_print_name(crate::wide::from_wtf8(&target));
        prop_assert_eq!(again.substitute_name, junction.substitute_name);
    }

    #[test]
    fn garbage_does_not_panic(
        tag in prop_oneof![Just(0xa000_000c_u32), Just(0xa000_0003), any::<u32>()],
        rest in vec(prop_oneof![Just(0_u8), any::<u8>()], 0..60),
    ) {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(rest);
        if let Ok(point) = ReparsePoint::decode(&bytes) {
            let _ = point.target();
            prop_assert!(point.encode().is_ok());
        }
    }
}
