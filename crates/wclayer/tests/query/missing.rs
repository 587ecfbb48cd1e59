//! `View::why_missing`: why nothing is at a path.

use layergen::Meta;
use wclayer::view::Absence;

use super::common::{DIRECTORY, REPARSE, directory, plain};
use super::{open, path, write};

#[test]
fn the_reason_is_the_first_component_without_an_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(&folder, "base.tar", |tar| {
        tar.directory("Files/Gone", &directory())?;
        tar.file("Files/Gone/x", &plain(), b"x")?;
        tar.directory("Files/Opaque", &directory())?;
        tar.file("Files/Opaque/x", &plain(), b"x")?;
        tar.directory("Files/Replaced", &directory())?;
        tar.file("Files/Replaced/x", &plain(), b"x")?;
        tar.file("Files/file", &plain(), b"x")
    });
    let upper = write(&folder, "upper.tar", |tar| {
        tar.whiteout("Files/Gone")?;
        tar.directory("Files/Opaque", &directory())?;
        tar.opaque("Files/Opaque")?;
        tar.file("Files/Opaque/own", &plain(), b"x")?;
        tar.whiteout("Files/Replaced")?;
        tar.directory("Files/Replaced", &directory())?;
        let reparse = Meta::with_attributes(DIRECTORY | REPARSE);
        tar.junction("Files/j", r"C:\Opaque", &reparse)
    });
    let nearest = write(&folder, "nearest.tar", |_| Ok(()));
    let view = open(&[nearest, upper, base]);
    let removed = || Absence::Removed {
        path: path("Files/Gone"),
        layer: 1,
    };
    let emptied = |directory| Absence::Emptied {
        directory: path(directory),
        layer: 1,
    };
    for (missing, expected) in [
        ("files/gone", removed()),
        ("Files/Gone/x/y", removed()),
        ("Files/opaque/X", emptied("Files/Opaque")),
        ("Files/Replaced/x", emptied("Files/Replaced")),
        (
            "Files/opaque/y/z",
            Absence::NotInDirectory {
                directory: path("Files/Opaque"),
            },
        ),
        (
            "Files/file/x",
            Absence::BelowFile {
                file: path("Files/file"),
            },
        ),
        (
            "Files/j/own",
            Absence::BelowReparsePoint {
                link: path("Files/j"),
                target: Some(r"C:\Opaque".to_owned()),
            },
        ),
        ("hives/x", Absence::NoTop { name: "Hives" }),
        (
            "opaque/own",
            Absence::OutsideTop {
                in_files: Some(path("Files/Opaque/own")),
            },
        ),
        ("nowhere", Absence::OutsideTop { in_files: None }),
    ] {
        let why = view.why_missing(&path(missing)).expect("readable");
        assert_eq!(why, Some(expected), "{missing}");
    }
    for there in ["Files", "Files/j", "Files/Opaque/own"] {
        let why = view.why_missing(&path(there)).expect("readable");
        assert_eq!(why, None, "{there}");
    }
}
