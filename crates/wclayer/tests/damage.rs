//! Damaged or malicious portable layers: whatever a file contains, the result is either an error or
//! unchanged.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use wclayer::hub::copy;
use wclayer::portable::{self, PortableError, PortableLayer, RepairOptions};
use wclayer::source::{self, OpenOptions};
use wclayer::tar::TarLayerWriter;
use wclayer::{Error, ErrorKind, ParentChain};

use common::{Layers, directory, ends, plain, reseal, root_cause, tar};

const FILES: [&str; 4] = ["layer.tar", "index.sqlite", "layer.json", "layerchain.json"];
const PAGE: usize = 8192;

fn import(layers: &Layers, name: &str, content: &[u8], parents: &[&str]) -> PathBuf {
    let tar = tar(|tar| {
        let mut secured = plain();
        secured.security_descriptor = Some(layergen::standard_descriptors()[0].clone());
        tar.directory("Files/dir", &directory())?;
        tar.file(&format!("Files/dir/{name}"), &secured, content)?;
        tar.stream(&format!("Files/dir/{name}"), "s", &plain(), b"stream")?;
        // More than one block of the tar.
        tar.file("Files/large", &plain(), &[7; 100_000])?;
        tar.hard_link("Files/link", &format!("Files/dir/{name}"), &plain())
    });
    layers.import(name, tar, parents).expect("a legal layer");
    layers.path(name)
}

/// Everything that a layer and its view return, including content.
fn answer(layer: &Path) -> Result<Vec<u8>, Error> {
    let opened = PortableLayer::open(layer)?;
    let mut answer = format!("{:?}", opened.descriptor()).into_bytes();
    let view = source::open(layer, &OpenOptions::default(), &())?;
    let writer = TarLayerWriter::new(Vec::new());
    answer.extend(copy(&mut view.reader(&[]), writer, &())?);
    Ok(answer)
}

/// Changes a file in several ways, and expects the old result or an error.
fn assert_noticed(layer: &Path, name: &str, changed: Vec<Vec<u8>>, truth: &[u8]) -> usize {
    let path = layer.join(name);
    let whole = fs::read(&path).expect("there");
    let mut same = 0;
    for (number, bytes) in changed.iter().enumerate() {
        fs::write(&path, bytes).expect("writable");
        match answer(layer) {
            Ok(answer) => {
                assert!(answer == truth, "{name} {number}: a different result");
                same += 1;
            }
            Err(error) => assert!(!root_cause(&error).is_empty()),
        }
    }
    fs::write(&path, whole).expect("writable");
    same
}

#[test]
fn no_flipped_bit_changes_the_result() {
    let layers = Layers::new();
    import(&layers, "base", b"base", &[]);
    let layer = import(&layers, "app", b"content", &["base"]);
    let truth = answer(&layer).expect("sound");
    for (name, step) in FILES.into_iter().zip([997, 397, 3, 1]) {
        let whole = fs::read(layer.join(name)).expect("there");
        let flips = (0..whole.len()).step_by(step).map(|at| {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at / step % 8);
            flipped
        });
        let same = assert_noticed(&layer, name, flips.collect(), &truth);
        // Parts of the tar are never read; in all other files, every byte is protected.
        assert!(
            same == 0 || name == "layer.tar",
            "{name}: {same} undetected"
        );
    }
    assert!(answer(&layer).expect("intact again") == truth);
}

#[test]
fn neither_another_length_nor_another_layers_file_changes_the_result() {
    let layers = Layers::new();
    import(&layers, "base", b"base", &[]);
    let other = import(&layers, "other", b"another", &["base"]);
    let layer = import(&layers, "app", b"content", &["base"]);
    let truth = answer(&layer).expect("sound");
    for name in FILES {
        let whole = fs::read(layer.join(name)).expect("there");
        let cuts = [
            0,
            1,
            whole.len() / 2,
            whole.len() - 512.min(whole.len()),
            whole.len() - 1,
        ];
        let mut changed: Vec<_> = cuts.map(|len| whole[..len].to_vec()).into();
        changed.push([&whole[..], b"\0"].concat());
        changed.push([&whole[..], &[0; PAGE]].concat());
        changed.extend(
            FILES
                .into_iter()
                .filter(|other| *other != name)
                .map(|other| fs::read(layer.join(other)).expect("there")),
        );
        let others = fs::read(other.join(name)).expect("there");
        // Layers with the same parents have the same list of parents.
        changed.extend((others != whole).then_some(others));
        assert_eq!(assert_noticed(&layer, name, changed, &truth), 0, "{name}");
    }
}

#[test]
fn only_intact_blocks_are_returned() {
    let layers = Layers::new();
    let layer = import(&layers, "base", b"content", &[]);
    let mut tar = fs::read(layer.join("layer.tar")).expect("there");
    let at = tar.len() - 20_000;
    tar[at] ^= 1;
    fs::write(layer.join("layer.tar"), tar).expect("writable");
    let view = source::open(&layer, &OpenOptions::default(), &()).expect("opens");
    let content = |path: &str| {
        let node = view
            .find(&path.parse().expect(path))
            .expect(path)
            .expect(path);
        let mut bytes = Vec::new();
        let mut content = view.content(&node, None).expect(path).reader();
        let read = std::io::Read::read_to_end(&mut content, &mut bytes);
        (bytes, read)
    };
    content("Files/dir/base").1.expect("in another block");
    let (bytes, read) = content("Files/large");
    assert!(
        bytes.iter().all(|byte| *byte == 7),
        "no damaged byte is returned"
    );
    let error = read.expect_err("damaged");
    assert!(
        error
            .to_string()
            .contains("layer.tar` is damaged at byte 0x10000"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn verify_and_repair_do_not_wait_for_a_pipe_in_place_of_a_file() {
    for name in FILES {
        let layers = Layers::new();
        let layer = import(&layers, "base", b"content", &[]);
        fs::remove_file(layer.join(name)).expect("there");
        let made = std::process::Command::new("mkfifo")
            .arg(layer.join(name))
            .status();
        assert!(made.expect("mkfifo starts").success());
        let path = layer.clone();
        let found = ends(move || portable::verify(&path, &ParentChain::none(), &()));
        assert!(!found.expect("a layer").is_sound(), "{name}");
        let options = RepairOptions::default();
        let repaired = ends(move || portable::repair(&layer, &options, &()).is_ok());
        assert_eq!(repaired, name != "layer.tar", "{name}");
    }
}

/// A version 1 layer, made by the program of that time.
fn version_1(layers: &Layers, name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/portable-v1");
    let to = layers.path(name);
    fs::create_dir(&to).expect("free");
    for file in FILES {
        fs::write(to.join(file), fs::read(from.join(file)).expect(file)).expect(file);
    }
    to
}

#[test]
fn version_1_layers_are_read_and_converted_to_version_2() {
    let layers = Layers::new();
    let base = version_1(&layers, "base");
    let chain = vec![base.clone()];
    let app = version_1(&layers, "app");
    fs::write(
        app.join("layerchain.json"),
        serde_json::to_vec(&chain).expect("text"),
    )
    .expect("writable");
    let truth = answer(&app).expect("readable");
    let found = portable::verify(&app, &ParentChain::none(), &()).expect("readable");
    assert!(found.is_sound(), "{found:?}");
    // A truncated index must not be taken for a shorter list.
    let index = fs::read(app.join("index.sqlite")).expect("there");
    for len in [index.len() - 1, index.len() - PAGE, index.len() - 97] {
        fs::write(app.join("index.sqlite"), &index[..len]).expect("writable");
        answer(&app).expect_err("cut");
    }
    fs::write(app.join("index.sqlite"), index).expect("writable");
    // Its parents are elsewhere: the given ones count.
    fs::rename(&base, layers.path("moved")).expect("movable");
    let error = answer(&app).expect_err("no parent");
    assert!(error.to_string().contains("base` of `"), "{error}");
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first([layers.path("moved")]),
        ..OpenOptions::default()
    };
    source::open(&app, &options, &()).expect("given");
    let options =
        RepairOptions::default().parents(ParentChain::from_nearest_first([layers.path("moved")]));
    let repaired = portable::repair(&app, &options, &()).expect("repairable");
    assert_eq!(repaired.layer.descriptor().version, 2);
    assert!(repaired.is_verified);
    let content = |answer: &[u8]| answer.windows(12).any(|part| part == b"content of a");
    assert!(content(&truth) && content(&answer(&app).expect("whole")));
}

#[test]
fn a_folder_of_layers_can_be_moved_and_a_foreign_layer_is_detected() {
    let layers = Layers::new();
    fs::create_dir(layers.path("store")).expect("free");
    import(&layers, "store/base", b"base", &[]);
    import(&layers, "store/mid", b"mid", &["store/base"]);
    import(&layers, "store/app", b"app", &["store/mid"]);
    fs::rename(layers.path("store"), layers.path("moved")).expect("movable");
    let app = layers.path("moved/app");
    let opened = PortableLayer::open(&app).expect("moved");
    let parents = opened.checked_parents().expect("moved with the layer");
    let folder = dunce::canonicalize(layers.path("moved")).expect("there");
    let expected = ["mid", "base"].map(|name| folder.join(name));
    assert_eq!(parents, ParentChain::from_nearest_first(expected));
    answer(&app).expect("usable");
    // Only the layer is moved: its parents are where they were.
    fs::rename(layers.path("moved"), layers.path("store")).expect("movable");
    fs::create_dir(layers.path("elsewhere")).expect("free");
    fs::rename(layers.path("store/app"), layers.path("elsewhere/app")).expect("movable");
    let app = layers.path("elsewhere/app");
    answer(&app).expect("usable");
    // A different layer in place of a parent.
    fs::rename(layers.path("store/base"), layers.path("kept")).expect("movable");
    let error = answer(&app).expect_err("no parent");
    assert!(
        matches!(error, Error::Portable(PortableError::Parent { .. })),
        "{error:?}"
    );
    import(&layers, "store/base", b"not base", &[]);
    let error = answer(&app).expect_err("another layer");
    let base = PortableLayer::open(layers.path("kept"))
        .expect("kept")
        .descriptor()
        .diff_id;
    let place = Path::new("store").join("base");
    for part in [
        &*place.to_string_lossy(),
        "elsewhere/app",
        &base.to_string(),
        "another layer",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    // Given parents count if they are the recorded ones.
    let given = |names: [&str; 2]| OpenOptions {
        parents: ParentChain::from_nearest_first(names.map(|name| layers.path(name))),
        ..OpenOptions::default()
    };
    source::open(&app, &given(["store/mid", "kept"]), &()).expect("the same layers");
    source::open(&app, &given(["store/mid", "store/base"]), &())
        .err()
        .expect("another layer");
    // The order of the layers matters.
    let children = portable::children_of(layers.path("store/base"));
    assert_eq!(
        (children.count, children.first.len()),
        (1, 1),
        "{children:?}"
    );
}

#[test]
fn a_newer_version_is_not_rebuilt_as_an_older_one() {
    let layers = Layers::new();
    let layer = import(&layers, "layer", b"content", &[]);
    let descriptor = layer.join("layer.json");
    let text = fs::read_to_string(&descriptor).expect("readable");
    let repair = || portable::repair(&layer, &RepairOptions::default(), &());
    for (version, is_newer) in [("3", true), ("99", true), ("0", false), ("null", false)] {
        let changed = text.replace("\"version\": 2", &format!("\"version\": {version}"));
        assert_ne!(changed, text);
        fs::write(&descriptor, &changed).expect("writable");
        match repair() {
            Err(error) => {
                assert!(is_newer, "{version}: {error}");
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{version}");
                assert_eq!(fs::read_to_string(&descriptor).expect("readable"), changed);
                assert_eq!(layers.names(), ["layer"]);
            }
            Ok(_) => assert!(!is_newer, "{version}"),
        }
    }
    let foreign = text.replace("wclayer.portable", "another.program");
    fs::write(&descriptor, &foreign).expect("writable");
    fs::write(layer.join("index.sqlite"), "not ours").expect("writable");
    repair().expect_err("the layer of another program");
    assert_eq!(fs::read_to_string(&descriptor).expect("readable"), foreign);
    fs::write(&descriptor, &text).expect("writable");
    portable::remove(&layer).expect("any version can be removed");
}

#[test]
fn verify_finds_damage_and_repair_fixes_everything_except_the_tar() {
    let layers = Layers::new();
    import(&layers, "base", b"base", &[]);
    let layer = import(&layers, "app", b"content", &["base"]);
    let truth = answer(&layer).expect("sound");
    let verify = || portable::verify(&layer, &ParentChain::none(), &()).expect("a layer");
    assert!(verify().is_sound());
    for name in ["index.sqlite", "layer.json", "layerchain.json"] {
        for damage in [&b""[..], b"garbage", b"{}"] {
            fs::write(layer.join(name), damage).expect("writable");
            let found = verify();
            let damaged = found
                .checks
                .iter()
                .filter(|check| !check.problems.is_empty());
            assert!(damaged.clone().any(|check| check.part == name), "{found:?}");
            if name != "layerchain.json" || damage != b"{}" {
                let repaired = portable::repair(&layer, &RepairOptions::default(), &());
                let repaired = repaired.expect("repairable");
                assert_eq!(repaired.is_verified, name != "layer.json");
            } else {
                portable::repair(&layer, &RepairOptions::default(), &()).expect("repairable");
            }
            assert!(verify().is_sound());
            assert!(answer(&layer).expect("intact again") == truth, "{name}");
        }
    }
    assert_eq!(layers.names(), ["app", "base"], "nothing is left behind");
    // An index that disagrees with the tar is detected even if all hashes match.
    Connection::open(layer.join("index.sqlite"))
        .expect("a database")
        .execute_batch("UPDATE entry SET last_write_time = 5 WHERE id = 2")
        .expect("writable");
    reseal(&layer);
    assert!(answer(&layer).is_ok());
    assert!(!verify().is_sound());
    portable::repair(&layer, &RepairOptions::default(), &()).expect("repairable");
    let mut tar = fs::read(layer.join("layer.tar")).expect("there");
    let at = tar.len() - 20_000;
    tar[at] ^= 1;
    fs::write(layer.join("layer.tar"), tar).expect("writable");
    assert!(!verify().is_sound());
    let error = portable::repair(&layer, &RepairOptions::default(), &()).expect_err("another tar");
    assert!(root_cause(&error).contains("DiffID"), "{error:?}");
    fs::write(layer.join("note"), "mine").expect("writable");
    let error = portable::repair(&layer, &RepairOptions::default(), &()).expect_err("a stranger");
    assert!(root_cause(&error).contains("note"), "{error:?}");
}

#[track_caller]
fn assert_refused(what: &str, layer: &Path) {
    let path = layer.to_owned();
    let result = ends(move || answer(&path).map(|answer| answer.len()));
    assert!(result.is_err(), "{what}: {result:?}");
}

#[test]
fn malicious_indexes_are_rejected() {
    let many = "(SELECT group_concat('1+1', ',') FROM (SELECT 1 FROM entry a, entry b, entry c,
                entry d, entry e, entry f, entry g LIMIT 300000))";
    for statements in [
        "UPDATE stream SET stored = 'none', size = 9000000000000000000",
        "UPDATE stream SET stored = 'none', size = 40000000000",
        "UPDATE stream SET size = 9223372036854775807",
        "UPDATE stream SET size = 100000, offset = 0",
        "UPDATE stream SET stored = '0+99999999999'",
        &format!("UPDATE stream SET stored = {many} WHERE entry = 2"),
        "UPDATE entry SET ea = zeroblob(40000000) WHERE id = 2",
        "UPDATE entry SET path = zeroblob(40000000) WHERE id = 2",
        "UPDATE entry SET path_key = (SELECT path_key FROM entry WHERE id = 2)",
        "UPDATE entry SET path = CAST('Files/zzz' AS BLOB) WHERE id = 2",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE more (id)",
        "CREATE VIRTUAL TABLE more USING fts5(x)",
        "DROP TABLE block",
        "DELETE FROM block",
        "DROP INDEX entry_path",
        "ANALYZE",
        "PRAGMA journal_mode = WAL",
        "PRAGMA user_version = 1",
        "PRAGMA page_size = 4096; VACUUM",
        "PRAGMA auto_vacuum = FULL; VACUUM",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage =
         (SELECT rootpage FROM sqlite_schema WHERE name = 'entry') WHERE name = 'security'",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'entry'",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'view' WHERE name = 'entry'",
    ] {
        let layers = Layers::new();
        let layer = import(&layers, "base", b"content", &[]);
        let connection = Connection::open(layer.join("index.sqlite")).expect("a database");
        // Not every build of SQLite has every extension.
        if connection.execute_batch(statements).is_err() {
            assert!(statements.contains("fts5"), "{statements}");
            continue;
        }
        drop(connection);
        reseal(&layer);
        assert_refused(statements, &layer);
    }
}

/// Pages that many cells refer to, and a value that refers to itself: few bytes, endless rows.
#[test]
fn pages_that_are_used_twice_are_rejected() {
    for (table, levels, fan) in [("entry", 2, 600), ("entry", 6, 600), ("stream", 3, 2)] {
        let layers = Layers::new();
        let layer = import(&layers, "base", b"content", &[]);
        let path = layer.join("index.sqlite");
        let root: usize = Connection::open(&path)
            .expect("a database")
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?",
                [table],
                |row| row.get(0),
            )
            .expect("a table");
        let mut pages = fs::read(&path).expect("there");
        add_bomb(&mut pages, root, levels, fan);
        fs::write(&path, pages).expect("writable");
        reseal(&layer);
        assert_refused(table, &layer);
    }
}

fn add_bomb(pages: &mut Vec<u8>, root: usize, levels: usize, fan: usize) {
    let leaf = pages[(root - 1) * PAGE..root * PAGE].to_vec();
    pages.extend(&leaf);
    for level in (0..levels).rev() {
        let below = (pages.len() / PAGE) as u32;
        let mut page = vec![0; PAGE];
        let start = PAGE - fan * 5;
        page[0] = 5;
        page[3..5].copy_from_slice(&(fan as u16).to_be_bytes());
        page[5..7].copy_from_slice(&(start as u16).to_be_bytes());
        page[8..12].copy_from_slice(&below.to_be_bytes());
        for cell in 0..fan {
            let at = start + cell * 5;
            page[12 + 2 * cell..14 + 2 * cell].copy_from_slice(&(at as u16).to_be_bytes());
            page[at..at + 4].copy_from_slice(&below.to_be_bytes());
            page[at + 4] = (cell % 100) as u8;
        }
        match level {
            0 => pages[(root - 1) * PAGE..root * PAGE].copy_from_slice(&page),
            _ => pages.extend(&page),
        }
    }
    let count = (pages.len() / PAGE) as u32;
    pages[28..32].copy_from_slice(&count.to_be_bytes());
}

#[test]
fn malicious_chains_and_descriptors_are_rejected() {
    let layers = Layers::new();
    import(&layers, "base", b"base", &[]);
    let layer = import(&layers, "app", b"content", &["base"]);
    let base = layers.path("base");
    let whole = fs::read(layer.join("layer.json")).expect("there");
    let json = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_slice(&whole).expect("JSON");
        change(&mut json);
        fs::write(layer.join("layer.json"), json.to_string()).expect("writable");
        reseal(&layer);
    };
    let parent: Value =
        serde_json::from_slice::<Value>(&whole).expect("JSON")["parents"][0].clone();
    for times in [2, 4000] {
        let chain = vec![base.clone(); times];
        let chain = serde_json::to_vec(&chain).expect("text");
        fs::write(layer.join("layerchain.json"), chain).expect("writable");
        json(&|json| json["parents"] = vec![parent.clone(); times].into());
        assert_refused("many copies of a parent", &layer);
    }
    let chain = serde_json::to_vec(&[&base]).expect("text");
    fs::write(layer.join("layerchain.json"), chain).expect("writable");
    json(&|_| ());
    answer(&layer).expect("a resealed layer is valid");
    json(&|json| json["parents"][0]["path"] = "../app".into());
    assert_refused("its own parent", &layer);
    json(&|json| json["tarSize"] = u64::MAX.into());
    assert_refused("a tar shorter than recorded", &layer);
    json(&|json| json["index"]["size"] = 5.into());
    json(&|json| json["padding"] = "x".repeat(2 << 20).into());
    assert_refused("2 MiB", &layer);
    fs::File::options()
        .write(true)
        .open(layer.join("layer.json"))
        .and_then(|file| file.set_len(1 << 40))
        .expect("sparse");
    assert_refused("1 TiB", &layer);
    for nested in [
        "[".repeat(900_000),
        format!("{{\"format\":{}", "[".repeat(900_000)),
    ] {
        fs::write(layer.join("layer.json"), nested).expect("writable");
        assert_refused("nested", &layer);
    }
}

#[test]
fn invalid_version_1_chains_are_rejected() {
    let layers = Layers::new();
    let layer = version_1(&layers, "app");
    let base = version_1(&layers, "base");
    let text = |chain: &[PathBuf]| serde_json::to_vec(chain).expect("text");
    for chain in [
        b"{}".to_vec(),
        b"[1]".to_vec(),
        b"[[\"/a\"]]".to_vec(),
        b"\"base\"".to_vec(),
        b"[\"../base\"]".to_vec(),
        b"[\"\"]".to_vec(),
        b"[\"/a\\u0000b\"]".to_vec(),
        b"[\"/nowhere\"]".to_vec(),
        "[".repeat(1_000_000).into_bytes(),
        text(std::slice::from_ref(&layer)),
        text(&vec![base.clone(); 2]),
        text(&vec![base.clone(); 4000]),
        text(
            &(0..10_000)
                .map(|number| layers.path(&number.to_string()))
                .collect::<Vec<_>>(),
        ),
    ] {
        fs::write(layer.join("layerchain.json"), &chain).expect("writable");
        assert_refused(
            &String::from_utf8_lossy(&chain[..chain.len().min(60)]),
            &layer,
        );
    }
    fs::write(layer.join("layerchain.json"), text(&[base])).expect("writable");
    answer(&layer).expect("a chain");
}
