use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below")).expect(name);
        fs::write(path, content).expect(name);
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).expect("a folder");
        let names = names.map(|entry| entry.expect("a name").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    fn collect(&self, dry_run: bool) -> Vec<(String, LeftoverKind, u64, &'static str)> {
        let found = collect(self.0.path(), dry_run).expect("readable");
        let found = found.into_iter().map(|it| {
            let name = it.path.file_name().expect("a name").to_string_lossy();
            let fate = match it.fate {
                Fate::Removed => "removed",
                Fate::Restored(_) => "restored",
                Fate::InUse => "in use",
                Fate::Failed(_) => "failed",
            };
            (name.into_owned(), it.kind, it.size, fate)
        });
        found.collect()
    }
}

#[test]
fn all_that_nobody_owns_goes_and_is_told() {
    let folder = Folder::new();
    folder.file(".x.wclayer-a1B2c3/layer/layer.tar", "12345");
    folder.file(".wclayer-export-Z9z9Z9", "123");
    folder.file("wclayer-view-abcdef/index.sqlite", "1");
    folder.file("wclayer-view-abcdef/layer.tar", "1");
    folder.file("wclayer-validate-abcdef/index.sqlite", "1");
    folder.file("x/layer.json", r#"{"format": "wclayer.portable"}"#);
    folder.file("y/layer.json", r#"{"format": "wclayer.portable"}"#);
    folder.file(".y.lock", "");
    let expected = [
        (".wclayer-export-Z9z9Z9", LeftoverKind::Output, 3, "removed"),
        ("wclayer-validate-abcdef", LeftoverKind::View, 1, "removed"),
        ("wclayer-view-abcdef", LeftoverKind::View, 2, "removed"),
        (".x.wclayer-a1B2c3", LeftoverKind::Layer, 5, "removed"),
        (".y.lock", LeftoverKind::Lock, 0, "removed"),
    ]
    .map(|(name, kind, size, fate)| (name.to_owned(), kind, size, fate));
    assert_eq!(folder.collect(true), expected);
    assert_eq!(folder.collect(false), expected);
    assert_eq!(folder.names(), ["x", "y"]);
    assert_eq!(folder.collect(false), []);
}

#[test]
fn what_is_only_called_alike_stays() {
    let folder = Folder::new();
    let foreign = [
        ".wclayer-export-a1b2c",
        ".wclayer-export-a1b2c3d",
        ".wclayer-export-a1b2c_",
        ".wclayer-export-dirdir/file",
        ".x.wclayer-a1b2c/layer.tar",
        ".x.wclayer-a1b2c3.tar/file",
        ".x.wclayer-a1b2c3",
        ".wclayer-a1b2c3/file",
        "x.wclayer-a1b2c3/file",
        "wclayer-view-a1b2c3",
        "wclayer-view-abcdef/notes.txt",
        "wclayer-view-ghijkl/index.sqlite/file",
        ".nobody.lock",
    ];
    for name in foreign {
        folder.file(name, "");
    }
    folder.file("x/layer.json", r#"{"format": "wclayer.portable"}"#);
    // On Windows the system deletes a lock file, whatever it holds.
    if cfg!(unix) {
        folder.file(".x.lock", "somebody's");
    }
    let before = folder.names();
    assert_eq!(folder.collect(false), []);
    assert_eq!(folder.names(), before);
}

#[test]
fn what_a_living_process_owns_stays() {
    let folder = Folder::new();
    folder.file(".x.wclayer-a1b2c3/layer.tar", "1");
    let lock = Lock::take(&folder.path("x")).expect("locked");
    assert!(lock.is_some());
    folder.file(".wclayer-export-a1b2c3", "1");
    let path = folder.path(".wclayer-export-a1b2c3");
    let output = File::open(&path).expect("there");
    assert!(lock::own(&output, &path));
    for dry_run in [true, false] {
        let fates: Vec<_> = folder.collect(dry_run).iter().map(|it| it.3).collect();
        assert_eq!(fates, ["in use", "in use"]);
    }
    folder.file("x/layer.json", r#"{"format": "wclayer.portable"}"#);
    fs::remove_dir_all(folder.path(".x.wclayer-a1b2c3")).expect("there");
    assert_eq!(folder.collect(false).len(), 1, "only the output is told");
    folder.file(".x.wclayer-a1b2c3/layer.tar", "1");
    drop((lock, output));
    assert_eq!(folder.collect(false).len(), 2);
    assert_eq!(folder.names(), ["x"]);
}

#[test]
fn a_layer_that_was_being_replaced_comes_back() {
    let folder = Folder::new();
    folder.file(".x.wclayer-a1b2c3/replaced/layer.json", "{");
    let found = folder.collect(false);
    assert_eq!(found[0].3, "restored");
    assert_eq!(folder.names(), ["x"]);
    // The new one is there already.
    folder.file(".x.wclayer-a1b2c3/replaced/layer.json", "{");
    assert_eq!(folder.collect(false)[0].3, "removed");
    assert_eq!(folder.names(), ["x"]);
}

#[cfg(unix)]
#[test]
fn nothing_is_reached_through_a_link() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.file("precious/index.sqlite", "1");
    folder.file("precious/replaced/file", "1");
    for link in [".x.wclayer-a1b2c3", "wclayer-view-a1b2c3"] {
        symlink("precious", folder.path(link)).expect("a link");
    }
    symlink(
        "precious/index.sqlite",
        folder.path(".wclayer-export-a1b2c3"),
    )
    .expect("a link");
    let before = folder.names();
    assert_eq!(folder.collect(false), []);
    assert_eq!(folder.names(), before);
    assert!(folder.path("precious/index.sqlite").exists());
}

#[test]
fn places_with_any_name_are_told_apart() {
    for (name, place) in [
        (".x.wclayer-a1b2c3", Some("x")),
        (".a.wclayer-b.wclayer-a1b2c3", Some("a.wclayer-b")),
        (".a.wclayer-zzzzzz.wclayer-a1b2c3", Some("a.wclayer-zzzzzz")),
        (".wclayer-a1b2c3", None),
        (".x.wclayer-a1b2c", None),
        ("x.wclayer-a1b2c3", None),
    ] {
        let found = place_of(OsStr::new(name));
        assert_eq!(found.as_deref(), place.map(OsStr::new), "{name}");
    }
}
