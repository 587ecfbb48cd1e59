//! Folders that claim to be portable layers: whatever they contain, they are used correctly or
//! rejected in finite time, and nothing inside or outside is changed.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use wclayer::compression::Compression;
use wclayer::portable::{self, ImportOptions, PortableLayer};
use wclayer::{DiffId, Error, ErrorKind, LayerReader as _, ParentChain};

use crate::common::{chain, ends, plain, reseal};
use crate::{Ground, built};

type Spoil = fn(&Path);

/// Performs every operation on a layer, and returns the errors by name.
fn use_layer(ground: &Ground, name: &str) -> Vec<(&'static str, Error)> {
    let path = ground.path(name);
    let mut errors = Vec::new();
    let mut note = |what, result: Result<(), Error>| errors.extend(result.err().map(|e| (what, e)));
    match PortableLayer::open(&path) {
        Err(error) => note("open", Err(error)),
        Ok(layer) => {
            note("check_parents", layer.check_parents(&ParentChain::none()));
            note("export", export(&layer));
            note("read", read(&layer));
            note("index", read_index(&layer));
        }
    }
    let options = ImportOptions::default().parents(ParentChain::from_nearest_first([path]));
    let child = built(|tar| {
        tar.file("Files/dir/new", &plain(), b"")?;
        tar.whiteout("Files/gone")?;
        tar.hard_link("Files/link", "Files/a", &plain())
    });
    let child_path = ground.path("layers/child");
    let source = std::io::Cursor::new(child);
    note(
        "import on top",
        portable::import(source, &child_path, &options, &()).map(drop),
    );
    if child_path.exists() {
        portable::remove(&child_path).expect("ours");
    }
    errors
}

fn export(layer: &PortableLayer) -> Result<(), Error> {
    let mut exported = Vec::new();
    let summary = layer.export(&mut exported, Compression::None.into(), &())?;
    assert_eq!(DiffId::of(&exported), layer.descriptor().diff_id);
    assert_eq!(summary.diff_id, layer.descriptor().diff_id);
    Ok(())
}

fn read(layer: &PortableLayer) -> Result<(), Error> {
    let mut reader = layer.reader()?;
    let mut buffer = [0; 4096];
    while reader.next_entry()?.is_some() {
        while reader.read_stream(&mut buffer)? > 0 {}
    }
    Ok(())
}

fn read_index(layer: &PortableLayer) -> Result<(), Error> {
    let index = layer.index()?;
    index.for_each(|entry| {
        index.find(&entry.path)?;
        index.look_up(&entry.path)?;
        index.children(Some(&entry.path))?;
        index.streams(&entry)?;
        entry
            .security
            .map_or(Ok(()), |id| index.security(id).map(drop))
    })
}

/// Creates a layer, damages it, and uses it; afterwards, the damaged layer must be unchanged.
#[track_caller]
fn spoiled(what: &str, spoil: impl Fn(&Path)) -> Vec<(&'static str, Error)> {
    let mut ground = Ground::new();
    let tar = built(|tar| {
        let mut secured = plain();
        secured.security_descriptor = Some(layergen::standard_descriptors()[0].clone());
        tar.file("Files/a", &secured, b"content")?;
        tar.stream("Files/a", "s", &plain(), b"stream")?;
        tar.hard_link("Files/l", "Files/a", &plain())
    });
    ground.import(tar, false).expect("a legal layer");
    spoil(&ground.path("layers/new"));
    ground.accept_changes();
    let (ground, errors) = ends(move || {
        let errors = use_layer(&ground, "layers/new");
        (ground, errors)
    });
    ground.assert_untouched(what);
    errors
}

/// Expects that exactly these operations fail, with an error that names the folder and is not just
/// the system's.
#[track_caller]
fn fails(what: &str, spoil: impl Fn(&Path), expected: &[&str]) {
    let errors = spoiled(what, spoil);
    let failed: Vec<_> = errors.iter().map(|(what, _)| *what).collect();
    assert_eq!(failed, expected, "{what}: {errors:?}");
    for (_, error) in &errors {
        assert!(
            matches!(
                error.kind(),
                ErrorKind::InvalidLayer
                    | ErrorKind::NotFound
                    | ErrorKind::Unsupported
                    | ErrorKind::InvalidInput
            ),
            "{what}: {error:?}"
        );
        let messages = chain(error).join(" / ");
        let names_it = [
            "layers/new",
            "entry `",
            "DiffID",
            "of the tar",
            "layers/nowhere",
        ];
        assert!(
            names_it.iter().any(|name| messages.contains(name)),
            "{what}: {messages}"
        );
    }
}

fn write(layer: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(layer.join(name), content).expect(name);
}

fn edit(layer: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(layer.join(name)).expect(name);
    assert!(text.contains(from), "{name}: {text}");
    write(layer, name, text.replacen(from, to, 1));
}

#[test]
fn an_intact_layer_has_no_errors() {
    fails("nothing", |_| (), &[]);
}

#[test]
fn invalid_descriptors() {
    let all = &["open", "import on top"];
    let contents: [(&str, &[u8]); 10] = [
        ("nothing", b""),
        ("garbage", b"\xff\xfe\0garbage"),
        ("null", b"null"),
        ("a list", b"[1, 2]"),
        ("a number", b"1e999"),
        ("deep nesting", &[b'['; 200_000]),
        ("a huge string", &[b'"'; 3 << 20]),
        ("cut", b"{\"format\": \"wclayer.portable\", \"vers"),
        (
            "no fields",
            b"{\"format\": \"wclayer.portable\", \"version\": 1}",
        ),
        (
            "another program's",
            b"{\"format\": \"other\", \"version\": 1}",
        ),
    ];
    for (what, content) in contents {
        fails(what, |layer| write(layer, "layer.json", content), all);
    }
    for (from, to) in [
        ("\"version\": 2", "\"version\": 3"),
        ("\"version\": 2", "\"version\": -1"),
        ("\"version\": 2", "\"version\": 4294967297"),
        ("\"version\": 2", "\"version\": \"2\""),
        ("\"diffId\": \"sha256:", "\"diffId\": \"sha512:"),
        ("\"diffId\": \"sha256:", "\"diffId\": \"sha256:../"),
        ("\"tarSize\": ", "\"tarSize\": -"),
        ("\"files\": 1", "\"files\": 18446744073709551616"),
        ("wclayer.portable", "wclayer.Portable"),
    ] {
        fails(to, |layer| edit(layer, "layer.json", from, to), all);
    }
    fails(
        "missing",
        |layer| fs::remove_file(layer.join("layer.json")).expect("there"),
        all,
    );
    fails("a folder", |layer| as_folder(layer, "layer.json"), all);
    // Its counts are for display only; adding them up must not fail.
    let spoil: Spoil = |layer| {
        edit(
            layer,
            "layer.json",
            "\"files\": 1",
            "\"files\": 18446744073709551615",
        );
        reseal(layer);
    };
    assert_eq!(spoiled("too many files", spoil).len(), 0);
    let ground = Ground::new();
    ground
        .import(built(|tar| tar.file("Files/x", &plain(), b"")), false)
        .expect("legal");
    spoil(&ground.path("layers/new"));
    let layer = PortableLayer::open(ground.path("layers/new")).expect("readable");
    assert_eq!(layer.descriptor().entries.total(), u64::MAX);
}

fn as_folder(layer: &Path, name: &str) {
    fs::remove_file(layer.join(name)).expect(name);
    fs::create_dir(layer.join(name)).expect(name);
}

#[test]
fn replaced_tars() {
    let unusable = &["open", "import on top"];
    fails("empty", |layer| write(layer, "layer.tar", ""), unusable);
    fails(
        "garbage",
        |layer| write(layer, "layer.tar", [7; 5000]),
        unusable,
    );
    let longer: Spoil = |layer| {
        let mut tar = fs::read(layer.join("layer.tar")).expect("there");
        tar.extend_from_slice(&[0; 512]);
        write(layer, "layer.tar", tar);
    };
    fails("longer", longer, unusable);
    let shorter: Spoil = |layer| {
        let tar = fs::read(layer.join("layer.tar")).expect("there");
        write(layer, "layer.tar", &tar[..tar.len() - 1]);
    };
    fails("shorter", shorter, unusable);
    fails(
        "missing",
        |layer| fs::remove_file(layer.join("layer.tar")).expect("there"),
        unusable,
    );
    fails("a folder", |layer| as_folder(layer, "layer.tar"), unusable);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_place_of_files() {
    for name in ["layer.tar", "index.sqlite", "layer.json", "layerchain.json"] {
        let pipe = |layer: &Path| {
            fs::remove_file(layer.join(name)).expect(name);
            let made = std::process::Command::new("mkfifo")
                .arg(layer.join(name))
                .status();
            assert!(made.expect("mkfifo starts").success());
        };
        let errors = spoiled(name, pipe);
        assert!(!errors.is_empty(), "a pipe as {name}");
        // A link to another path must not provide content other than the descriptor records.
        let link = |layer: &Path| {
            fs::remove_file(layer.join(name)).expect(name);
            let canary = layer.parent().and_then(Path::parent).expect("nested");
            std::os::unix::fs::symlink(canary.join("canary"), layer.join(name)).expect(name);
        };
        let errors = spoiled(name, link);
        assert!(!errors.is_empty(), "a link as {name}");
    }
}

#[test]
fn chains_that_lead_elsewhere() {
    // The descriptor knows the list; `damage.rs` covers version 1, whose descriptor does not.
    let on_top = &["open", "import on top"];
    let nowhere: Spoil = |layer| {
        let elsewhere = layer.with_file_name("nowhere");
        write(
            layer,
            "layerchain.json",
            serde_json::to_vec(&[elsewhere]).expect("UTF-8"),
        );
    };
    fails("nowhere", nowhere, on_top);
    for (what, content) in [
        ("nothing", ""),
        ("an object", "{}"),
        ("a number", "[1]"),
        ("nested", "[[\"/a\"]]"),
        ("text", "\"layers/base\""),
    ] {
        fails(
            what,
            |layer| write(layer, "layerchain.json", content),
            &["open", "import on top"],
        );
    }
    let own = |times: usize| {
        move |layer: &Path| {
            let chain: Vec<PathBuf> = vec![layer.to_owned(); times];
            write(
                layer,
                "layerchain.json",
                serde_json::to_vec(&chain).expect("UTF-8"),
            );
        }
    };
    // Itself as its parent, once or many times: no loop, and no thousand open files.
    fails("itself", own(1), on_top);
    fails("itself, often", own(5000), on_top);
    // A relative path would mean a different folder in every working folder.
    for chain in ["[\"../base\"]", "[\"base\", \"/base\"]", "[\"\"]"] {
        let spoil = |layer: &Path| write(layer, "layerchain.json", chain);
        fails(chain, spoil, &["open", "import on top"]);
    }
}

#[test]
fn files_that_are_not_an_index() {
    let uses = &["index", "import on top"];
    fails("empty", |layer| write(layer, "index.sqlite", ""), uses);
    fails(
        "garbage",
        |layer| write(layer, "index.sqlite", [7; 9000]),
        uses,
    );
    let cut: Spoil = |layer| {
        let bytes = fs::read(layer.join("index.sqlite")).expect("there");
        write(layer, "index.sqlite", &bytes[..bytes.len() / 2]);
    };
    fails("cut", cut, uses);
    let another: Spoil = |layer| {
        fs::remove_file(layer.join("index.sqlite")).expect("there");
        sql(
            layer,
            "CREATE TABLE bookmarks (id INTEGER); PRAGMA application_id = 5;",
        );
    };
    fails("another program's", another, uses);
    fails(
        "later version",
        |layer| sql(layer, "PRAGMA user_version = 3;"),
        uses,
    );
    fails(
        "a folder",
        |layer| as_folder(layer, "index.sqlite"),
        &["open", "import on top"],
    );
}

fn sql(layer: &Path, statements: &str) {
    let connection = Connection::open(layer.join("index.sqlite")).expect("a database");
    // An attacker does not let the database check its own consistency.
    let statements = format!("PRAGMA foreign_keys = OFF; {statements}");
    connection.execute_batch(&statements).expect(&statements);
    drop(connection);
    reseal(layer);
}

#[test]
fn indexes_with_invalid_content() {
    for statements in [
        "DROP TABLE entry;",
        "DROP TABLE stream;",
        "DROP TABLE security;",
        "DROP TABLE entry; CREATE TABLE entry (id INTEGER PRIMARY KEY, path_key INTEGER);",
        "UPDATE entry SET kind = 9;",
        "UPDATE entry SET kind = -1;",
        "UPDATE entry SET kind = 'file';",
        "UPDATE entry SET path = '../../x';",
        "UPDATE entry SET path = x'2e2e2f78';",
        "UPDATE entry SET path = x'2f657463';",
        "UPDATE entry SET path = x'';",
        "UPDATE entry SET path = 7;",
        "UPDATE entry SET target = x'2e2e2f78';",
        "UPDATE entry SET target = 'text' WHERE kind = 2;",
        "UPDATE entry SET creation_time = 'yesterday';",
        "UPDATE entry SET attributes = 1.5;",
        "UPDATE entry SET security = 99 WHERE security IS NOT NULL;",
        "UPDATE entry SET offset = 'x';",
        "UPDATE security SET descriptor = 'x';",
        "UPDATE stream SET name = x'612f62';",
        "UPDATE stream SET name = 1;",
        "UPDATE stream SET sha256 = x'00';",
        "UPDATE stream SET offset = 'x';",
        "UPDATE stream SET sparse = '5+5,0+9';",
        "UPDATE stream SET stored = x'ff';",
    ] {
        let errors = spoiled(statements, |layer| sql(layer, statements));
        assert!(!errors.is_empty(), "{statements}");
        for (what, error) in errors {
            assert!(
                matches!(what, "index" | "import on top"),
                "{statements}: {what} {error:?}"
            );
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidLayer,
                "{statements}: {error:?}"
            );
        }
    }
}

/// Views in place of tables can run forever, or return any amount of data.
#[test]
fn indexes_with_computed_rows_are_rejected() {
    let columns = "0 AS id, 1 AS kind, x'78' AS path, 0 AS path_key, 0 AS parent_key, 0 AS offset,
         0 AS creation_time, 0 AS last_access_time, 0 AS last_write_time, 0 AS change_time,
         0 AS attributes, NULL AS security, NULL AS reparse, NULL AS ea, NULL AS other_streams,
         NULL AS target";
    let endless = format!(
        "DROP TABLE entry;
         CREATE VIEW entry AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)
         SELECT {columns} FROM n WHERE i < 0;"
    );
    let large = format!(
        "DROP TABLE entry;
         CREATE VIEW entry AS SELECT {};",
        columns.replace("x'78' AS path", "zeroblob(900000000) AS path")
    );
    for statements in [&endless, &large] {
        let errors = spoiled("a view", |layer| sql(layer, statements));
        assert!(!errors.is_empty(), "{statements}");
    }
}
