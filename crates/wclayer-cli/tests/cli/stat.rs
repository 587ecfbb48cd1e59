//! `stat`: rare, missing or malformed metadata.

use layergen::{Meta, TarBuilder};

use crate::support::{Workplace, members};

/// `LX_SYMLINK` with the target `/usr/bin/sh`.
const LX_SYMLINK: &str = "HQAAoA8AAAACAAAAL3Vzci9iaW4vc2g=";
/// `APPEXECLINK`: `Pack_1`, `Pack_1!App`, `C:\\a.exe`, `0`.
const APP_EXEC_LINK: &str = "GwAAgD4AAAADAAAAUABhAGMAawBfADEAAABQAGEAYwBrAF8AMQAhAEEAcABwAAAAQwA6AFwAYQAuAGUAeABlAAAAMAAAAA==";

fn with_descriptor(bytes: &[u8]) -> Meta {
    Meta {
        security_descriptor: Some(bytes.to_vec()),
        ..Meta::with_attributes(0x20)
    }
}

fn with_reparse(buffer: &str) -> Meta {
    Meta {
        records: vec![("WCLAYER.reparse".to_owned(), buffer.as_bytes().to_vec())],
        ..Meta::with_attributes(0x420)
    }
}

/// Builds a security descriptor without parts.
fn descriptor(control: u16) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[0] = 1;
    bytes[2..4].copy_from_slice(&control.to_le_bytes());
    bytes
}

/// Writes `layer.tar` with one file, and returns the text and the JSON of `stat`.
fn stat(meta: &Meta) -> (String, serde_json::Value) {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    tar.file("Files/x", meta, b"").expect("memory");
    work.write("layer.tar", &tar.finish().expect("memory"));
    let text = work.run(&["stat", "layer.tar", "Files/x"]).succeeds();
    let json = work.run(&["stat", "--json", "layer.tar", "Files/x"]);
    (text.text().to_owned(), json.succeeds().json())
}

#[test]
fn descriptors_without_parts_are_described() {
    for (control, dacl, state) in [
        (0x8000, "no list: everyone has full access", "absent"),
        (0x8004, "a NULL list: everyone has full access", "null"),
    ] {
        let (text, json) = stat(&with_descriptor(&descriptor(control)));
        assert!(
            text.contains("  owner       none\n  group       none\n"),
            "{text}"
        );
        assert!(text.contains(&format!("  DACL        {dacl}\n")), "{text}");
        assert_eq!(json["security"]["daclState"], state);
        assert_eq!(json["security"]["owner"], serde_json::Value::Null);
    }
    let owner = layergen::sid(5, &[18]);
    let empty = layergen::security_descriptor(&owner, &owner, &[], 0x1000);
    let (text, json) = stat(&with_descriptor(&empty));
    assert!(text.contains("an empty list: nobody has access"), "{text}");
    assert!(
        text.contains("  control     DACL_PRESENT, DACL_PROTECTED, SELF_RELATIVE\n"),
        "{text}"
    );
    assert_eq!(json["security"]["control"][1], "DACL_PROTECTED");
    let (text, json) = stat(&Meta::with_attributes(0x20));
    assert!(text.contains("  descriptor  none\n"), "{text}");
    assert!(json["security"].is_null());
}

#[test]
fn a_malformed_descriptor_is_a_row_not_a_failure() {
    let (text, json) = stat(&with_descriptor(b"\x01\0\x04\x80"));
    assert!(
        text.contains("  descriptor  malformed, 4 bytes: "),
        "{text}"
    );
    assert!(json["security"]["problem"].is_string());
    assert_eq!(
        members(&json["security"]),
        [
            "control",
            "dacl",
            "daclState",
            "group",
            "owner",
            "problem",
            "sacl",
            "saclState",
            "sddl",
            "size"
        ]
    );
}

#[test]
fn printable_attributes_are_also_text() {
    let (text, json) = stat(&Meta {
        extended_attributes: vec![
            ("BINARY".to_owned(), vec![1, 0, 0, 0]),
            ("COMMENT".to_owned(), b"hello".to_vec()),
        ],
        ..Meta::with_attributes(0x20)
    });
    assert!(
        text.contains("BINARY: 4 bytes, flags 0x0: 01000000\n"),
        "{text}"
    );
    assert!(
        text.contains("COMMENT: 5 bytes, flags 0x0: 68656c6c6f \"hello\"\n"),
        "{text}"
    );
    assert_eq!(json["extendedAttributes"][1]["text"], "hello");
    assert!(json["extendedAttributes"][0]["text"].is_null());
    assert!(json["extendedAttributesProblem"].is_null());
}

#[test]
fn reparse_points_are_described_by_tag_and_target() {
    let (text, json) = stat(&with_reparse(LX_SYMLINK));
    assert!(
        text.contains("  reparse     WSL symbolic link to `/usr/bin/sh`\n"),
        "{text}"
    );
    assert!(
        text.contains("  tag         LX_SYMLINK (0xa000001d)\n"),
        "{text}"
    );
    assert_eq!(json["reparse"]["target"], "/usr/bin/sh");
    assert!(json["reparse"]["relative"].is_null());
    let (text, json) = stat(&with_reparse(APP_EXEC_LINK));
    assert!(
        text.contains("alias of application `Pack_1!App`, `C:\\a.exe`\n"),
        "{text}"
    );
    assert!(text.contains("  package     Pack_1\n"), "{text}");
    assert_eq!(json["reparse"]["application"]["executable"], "C:\\a.exe");
    assert_eq!(json["reparse"]["tagValue"], 0x8000_001b_u32);
}

#[test]
fn each_layer_with_the_path_is_listed() {
    let work = Workplace::new();
    let layer = |content: &[u8], is_opaque| {
        let mut tar = TarBuilder::new(Vec::new());
        let meta = Meta::with_attributes(0x10);
        tar.directory("Files", &meta).expect("memory");
        tar.directory("Files/d", &meta).expect("memory");
        if is_opaque {
            tar.opaque("Files/d").expect("memory");
        }
        let meta = Meta::with_attributes(0x20);
        tar.file("Files/d/x", &meta, content).expect("memory");
        tar.finish().expect("memory")
    };
    work.write("0.tar", &layer(b"12", true));
    work.write("1.tar", &layer(b"1", false));
    let run = |path| {
        let arguments = ["stat", "-l", "1.tar", "0.tar", path];
        work.run(&arguments).succeeds().text().to_owned()
    };
    let text = run("Files/d/x");
    let has = |text: &str, line: &str| assert!(text.contains(line), "{line}: {text}");
    has(&text, "  in layer    0 adds a file of 2 B, written ");
    has(&text, "  in layer    1 adds a file of 1 B, written ");
    has(
        &run("Files/d"),
        "  in layer    0 removes its contents, adds a directory",
    );
    let json = work.run(&["stat", "--json", "-l", "1.tar", "0.tar", "files/D/X"]);
    let json = json.succeeds().json();
    assert_eq!(json["layers"][1]["size"], 1);
    let absolute = |name| work.path(name).to_str().map(ToOwned::to_owned);
    assert_eq!(
        json["place"].as_str().map(ToOwned::to_owned),
        absolute("0.tar")
    );
    let below = json["layers"][1]["place"].as_str();
    assert_eq!(below.map(ToOwned::to_owned), absolute("1.tar"));
    assert_eq!(
        members(&json["layers"][0]),
        ["added", "lastWriteTime", "layer", "link", "place", "size"]
    );
    let alone = work.run(&["stat", "1.tar", "Files/d/x"]).succeeds();
    assert!(!alone.text().contains("in layer"), "{}", alone.text());
}
