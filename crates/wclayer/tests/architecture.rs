//! Compares the rooms of the library, and which uses which, with the table in `ARCHITECTURE.md`.
//!
//! A room is a module directly below `src/`. Every `crate::ROOM` outside of tests is an arrow. The table lists
//! the allowed arrows from the ground up: a room uses only rooms above it, so there is no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_sources_use_only_the_arrows_of_the_map() {
    let allowed = allowed_arrows(&architecture());
    let mut wrong = Vec::new();
    for (room, used) in arrows(&sources()) {
        let Some(may_use) = allowed.get(&room) else {
            wrong.push(format!("`{room}` is not in the table"));
            continue;
        };
        let turned = used.difference(may_use);
        wrong.extend(turned.map(|other| format!("`{room}` uses `{other}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_arrow_of_the_map_is_used() {
    let used = arrows(&sources());
    for (room, may_use) in allowed_arrows(&architecture()) {
        let used = used
            .get(&room)
            .unwrap_or_else(|| panic!("there is no room `{room}`"));
        let unused: Vec<_> = may_use.difference(used).collect();
        assert!(unused.is_empty(), "`{room}` does not use {unused:?}");
    }
}

#[test]
fn the_map_has_no_circle() {
    let text = architecture();
    let mut above = BTreeSet::new();
    for (room, may_use) in table(&text) {
        let later: Vec<_> = may_use.difference(&above).collect();
        assert!(
            later.is_empty(),
            "`{room}` stands above {later:?} in the table"
        );
        above.insert(room);
    }
}

#[test]
fn a_turned_arrow_is_found() {
    let turned = "use crate::portable::PortableLayer;";
    let sources = [
        ("tar/reader.rs".into(), turned.into()),
        ("portable/mod.rs".into(), String::new()),
    ];
    let found = arrows(&sources);
    assert!(found["tar"].contains("portable"));
    assert!(!allowed_arrows(&architecture())["tar"].contains("portable"));
}

#[test]
fn no_arrow_hides_in_a_list_of_rooms() {
    for (path, text) in sources() {
        assert!(!text.contains("use crate::{"), "{}", path.display());
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn architecture() -> String {
    let path = package().join("../../ARCHITECTURE.md");
    fs::read_to_string(path).expect("ARCHITECTURE.md")
}

fn allowed_arrows(text: &str) -> Arrows {
    table(text).into_iter().collect()
}

/// Reads the table behind the comment `<!-- arrows -->`: a room, then the rooms that it may use.
fn table(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let (_, text) = text
        .split_once("<!-- arrows -->")
        .expect("the comment before the table");
    let rows = text
        .trim_start()
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(names_in);
        let room = cells.next().and_then(|names| names.into_iter().next());
        (room.expect(row), cells.next().expect(row))
    })
    .collect()
}

/// Returns what stands between back quotes.
fn names_in(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Returns every source file, by its path below `src/`.
fn sources() -> Vec<(PathBuf, String)> {
    let root = package().join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src") {
            let path = entry.expect("src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                found.push((
                    path.strip_prefix(&root).expect("below src").to_owned(),
                    text,
                ));
            }
        }
    }
    found
}

fn arrows(sources: &[(PathBuf, String)]) -> Arrows {
    let rooms: BTreeSet<String> = sources
        .iter()
        .filter_map(|(path, _)| room_of(path))
        .collect();
    let mut arrows = Arrows::new();
    for (path, text) in sources {
        let Some(room) = room_of(path).filter(|_| !is_test(path)) else {
            continue;
        };
        let used = arrows.entry(room.clone()).or_default();
        used.extend(
            uses(text)
                .filter(|other| rooms.contains(*other) && *other != room)
                .map(str::to_owned),
        );
    }
    arrows
}

/// Returns the room that a file belongs to; `None` for `lib.rs`, which only names the rooms.
fn room_of(path: &Path) -> Option<String> {
    let first = path.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib").then(|| room.to_owned())
}

fn is_test(path: &Path) -> bool {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .is_some_and(|stem| stem.ends_with("tests"))
}

/// Returns the first component of every `crate::…` in the code in front of the tests.
fn uses(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            &rest[..end]
        })
}
