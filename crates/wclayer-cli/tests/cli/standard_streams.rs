//! `-`, pipes, devices and file descriptors in place of files.

use crate::support::{APP_DIFF_ID, BASE_DIFF_ID, Workplace, sample};

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(sample(name)).expect("the sample")
}

#[test]
fn a_dash_is_standard_input() {
    let work = Workplace::new();
    let import = |options: &[&str], name| {
        let arguments = [&["import", "--json", "-i", "-"], options].concat();
        work.run_with_input(&arguments, &bytes(name)).succeeds()
    };
    assert_eq!(
        import(&["base"], "base.tar.gz").json()["diffId"],
        BASE_DIFF_ID
    );
    assert_eq!(
        import(&["-l", "base", "app"], "app.tar.gz").json()["diffId"],
        APP_DIFF_ID
    );
    // A folder named `-` can still be used.
    import(&["-q", "./-"], "base.tar.gz");
    work.run(&["remove", "./-"]).succeeds();
    assert_eq!(work.list("."), ["app", "base"]);

    let checked = ["validate", "--json", "-l", "base", "-"];
    let report = work.run_with_input(&checked, &bytes("app.tar.gz"));
    let report = report.succeeds().json();
    assert_eq!(report["path"], serde_json::Value::Null);
    assert_eq!(report["parentCount"], 1);
    let text = work.run_with_input(&["validate", "-"], &bytes("base.tar.gz"));
    let text = text.succeeds().text().to_owned();
    assert!(text.starts_with("`standard input`: 0 errors"), "{text}");
    // The layer removes an entry, which a base layer cannot.
    let run = work.run_with_input(&["validate", "-"], &bytes("app.tar.gz"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
}

#[test]
fn info_describes_a_tar_like_the_layer_it_becomes() {
    let work = Workplace::new();
    work.import_base("base");
    let layer = work.run(&["info", "--json", "base"]).succeeds().json();
    let gzip = bytes("base.tar.gz");
    let piped = work.run_with_input(&["info", "--json", "-"], &gzip);
    let mut piped = piped.succeeds().json();
    assert_eq!(piped["path"], serde_json::Value::Null);
    assert_eq!(piped["format"], "tar");
    let file = work.run(&["info", "--json", &sample("base.tar.gz")]);
    let file = file.succeeds().json();
    piped["path"] = file["path"].clone();
    assert_eq!(piped, file);
    for member in [
        "diffId",
        "tarSize",
        "contentSize",
        "source",
        "entryCounts",
        "warnings",
    ] {
        assert_eq!(file[member], layer[member], "{member}");
    }
    for (method, media_type) in [
        ("none", "application/vnd.oci.image.layer.v1.tar"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        work.run(&["export", "--compress", method, "-o", "tar", "base"])
            .succeeds();
        let json = work.run(&["info", "--json", "tar"]).succeeds().json();
        assert_eq!(json["diffId"], BASE_DIFF_ID);
        assert_eq!(json["source"]["mediaType"], media_type);
    }
    let text = work.run(&["info", "tar"]).succeeds();
    assert!(
        text.text().starts_with("Layer tar `tar`\n"),
        "{}",
        text.text()
    );
    work.write("cut", &gzip[..gzip.len() / 2]);
    work.run(&["info", "cut"]).fails("cannot read layer `cut`");
    work.run(&["info", "nowhere"])
        .fails("`nowhere` does not exist");
}

#[test]
fn a_dash_is_standard_output() {
    let work = Workplace::new();
    work.import_base("base");
    let tar = work.read("base/layer.tar");
    let run = work.run(&["export", "base", "-o", "-"]).succeeds();
    assert!(run.stdout == tar && run.stderr.is_empty());
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    let squash = |output: &[&str]| {
        let arguments = [&["squash", "-l", &base, &app][..], output].concat();
        work.run(&arguments).succeeds().stdout
    };
    assert!(squash(&["-o", "-"]) == squash(&[]));
    assert_eq!(work.list("."), ["base"]);
}

#[test]
fn an_existing_file_is_kept_on_request() {
    let work = Workplace::new();
    work.import_base("base");
    work.write("out.tar", b"old");
    for command in ["export", "squash"] {
        let json = work.run(&[command, "--json", "--no-clobber", "-o", "out.tar", "base"]);
        let json = json.fails("`out.tar` already exists").json();
        assert_eq!(json["error"]["kind"], "exists");
        assert_eq!(work.read("out.tar"), b"old");
        let new = format!("{command}.tar");
        work.run(&[command, "--no-clobber", "-o", &new, "base"])
            .succeeds();
        work.run(&[command, "-o", &new, "base"]).succeeds();
    }
    assert_eq!(
        work.list("."),
        ["base", "export.tar", "out.tar", "squash.tar"]
    );
}

#[cfg(unix)]
#[test]
fn destinations_that_cannot_be_replaced_are_written_to() {
    use std::fs::File;
    use std::io::Read;
    use std::process::Stdio;

    let work = Workplace::new();
    work.import_base("base");
    let tar = work.read("base/layer.tar");
    for name in ["/dev/stdout", "/dev/fd/1"] {
        assert!(
            work.run(&["export", "base", "-o", name]).succeeds().stdout == tar,
            "{name}"
        );
    }
    // A file descriptor of the caller, for a file without a name.
    let mut file = tempfile::tempfile().expect("a file");
    let mut command = work.command(&["export", "base", "-o", "/dev/fd/0"]);
    command.stdin(Stdio::from(file.try_clone().expect("a handle")));
    assert!(command.status().expect("it starts").success());
    let mut written = Vec::new();
    file.read_to_end(&mut written).expect("readable");
    assert!(written == tar);

    let made = std::process::Command::new("mkfifo")
        .arg(work.path("pipe"))
        .status();
    assert!(made.expect("mkfifo").success());
    let export = work.start(&["export", "--no-clobber", "base", "-o", "pipe"]);
    let mut written = Vec::new();
    let read = File::open(work.path("pipe")).and_then(|mut pipe| pipe.read_to_end(&mut written));
    read.expect("readable");
    assert!(export.wait_with_output().expect("it ends").status.success());
    assert!(written == tar);
    work.run(&["export", "--no-clobber", "base", "-o", "/dev/null"])
        .succeeds();
    assert_eq!(work.list("."), ["base", "pipe"]);
}

#[test]
fn the_digest_of_the_blob_is_distinguished_from_its_diff_id() {
    let work = Workplace::new();
    let file = sample("base.tar.gz");
    let info = work.run(&["info", "--json", &file]).succeeds().json();
    let digest = info["source"]["digest"].as_str().expect("a digest");
    for format in ["portable", "transport"] {
        let run = work.run(&[
            "import",
            "--json",
            "--format",
            format,
            "--diff-id",
            digest,
            "-i",
            &file,
            "x",
        ]);
        let run = run.fails("is the digest of the compressed blob");
        let hint = format!("pass its DiffID, `--diff-id {BASE_DIFF_ID}`");
        assert!(run.stderr.contains(&hint), "{}", run.stderr);
        assert_eq!(run.json()["error"]["kind"], "invalid_input");
    }
    assert_eq!(work.list("."), [""; 0]);
}
