//! `export`: restores the same tar, to a file or a pipe, completely or not at all.

use std::io::Read;
use std::process::Stdio;

use crate::support::{
    APP_DIFF_ID, BASE_DIFF_ID, Run, Workplace, members, sample, small_tar, started,
};

/// Changes a byte of the stored tar to make an export fail.
fn damage(work: &Workplace, layer: &str) {
    let name = format!("{layer}/layer.tar");
    let mut tar = work.read(&name);
    let last = tar.len() - 2000;
    tar[last] ^= 1;
    work.write(&name, &tar);
}

#[test]
fn a_generated_layer_is_restored_bit_for_bit() {
    let work = Workplace::new();
    let tar = small_tar(&[3; 100_000]);
    work.write("in.tar", &tar);
    work.run(&["import", "-i", "in.tar", "layer"]).succeeds();
    work.run(&["export", "-o", "out.tar", "layer"]).succeeds();
    assert_eq!(work.read("out.tar"), tar);
    let run = work.run(&["export", "layer"]).succeeds();
    assert_eq!(run.stdout, tar);
    assert_eq!(run.stderr, "");
}

#[test]
fn every_compression_gives_the_same_diff_id() {
    let work = Workplace::new();
    work.import_base("base");
    for (number, (options, magic)) in [
        (&["-z"][..], &[0x1F, 0x8B][..]),
        (&["--gzip"], &[0x1F, 0x8B]),
        (&["--compress", "gzip:9"], &[0x1F, 0x8B]),
        (&["--compress", "zstd:3"], &[0x28, 0xB5, 0x2F, 0xFD]),
        (&["--compress", "none"], &work.read("base/layer.tar")),
    ]
    .into_iter()
    .enumerate()
    {
        let blob = work
            .run(&[&["export"], options, &["base"]].concat())
            .succeeds()
            .stdout;
        assert!(blob.starts_with(magic), "{options:?}");
        let path = format!("copy{number}");
        let run = work
            .run_with_input(&["import", "--json", &path], &blob)
            .succeeds();
        assert_eq!(run.json()["diffId"], BASE_DIFF_ID, "{options:?}");
    }
}

#[test]
fn an_export_can_be_piped_into_an_import() {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    let mut export = work.start(&["export", "app"]);
    let pipe = export.stdout.take().expect("piped");
    let import = ["import", "--json", "-l", "base", "copy"];
    let mut command = work.command(&import);
    command.stdin(Stdio::from(pipe));
    let output = started(|| command.output());
    assert_eq!(
        Run::new(output, &import).succeeds().json()["diffId"],
        APP_DIFF_ID
    );
    assert!(export.wait().expect("it ends").success());
}

#[test]
fn json_is_one_object_of_the_documented_shape() {
    let work = Workplace::new();
    work.import_base("base");
    let run = work
        .run(&["export", "--json", "-z", "-o", "out.tar.gz", "base"])
        .succeeds();
    let json = run.json();
    assert_eq!(
        members(&json),
        [
            "compression",
            "diffId",
            "digest",
            "elapsedSeconds",
            "mediaType",
            "output",
            "path",
            "size",
            "tarSize"
        ]
    );
    assert_eq!(json["diffId"], BASE_DIFF_ID);
    assert_eq!(json["size"], work.read("out.tar.gz").len());
    assert_eq!(json["compression"], "gzip");
    assert_eq!(
        json["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    let copy = work
        .run(&["import", "--json", "-i", "out.tar.gz", "copy"])
        .succeeds()
        .json();
    assert_eq!(copy["source"]["digest"], json["digest"]);
}

#[test]
fn the_summary_is_on_stderr_with_a_file_or_when_verbose() {
    let work = Workplace::new();
    work.import_base("base");
    let run = work.run(&["export", "-o", "out.tar", "base"]).succeeds();
    assert!(
        run.stderr.starts_with("Exported `base`\n"),
        "{}",
        run.stderr
    );
    assert_eq!(run.text(), "");
    let run = work.run(&["export", "-v", "base"]).succeeds();
    assert!(run.stderr.contains("\nExported `base`\n"), "{}", run.stderr);
    let run = work
        .run(&["export", "-q", "-o", "out.tar", "base"])
        .succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_file_is_replaced_only_by_a_complete_tar() {
    let work = Workplace::new();
    work.import_base("base");
    work.write("out.tar", b"old");
    damage(&work, "base");
    work.run(&["export", "-o", "out.tar", "base"])
        .fails("the DiffID of the stored layer is");
    assert_eq!(work.read("out.tar"), b"old");
    work.run(&["export", "-o", "new.tar", "base"])
        .fails("the DiffID of the stored layer is");
    assert_eq!(work.list("."), ["base", "out.tar"]);

    work.run(&["import", "--force", "-i", &sample("base.tar.gz"), "base"])
        .succeeds();
    work.run(&["export", "-o", "out.tar", "base"]).succeeds();
    assert_eq!(work.read("out.tar"), work.read("base/layer.tar"));
    assert_eq!(work.list("."), ["base", "out.tar"]);
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_a_device_is_written_to() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let work = Workplace::new();
    work.import_base("base");
    work.write("target.tar", b"old");
    symlink("target.tar", work.path("link.tar")).expect("a link");
    work.run(&["export", "-o", "link.tar", "base"]).succeeds();
    assert_eq!(work.read("target.tar"), work.read("base/layer.tar"));
    assert!(
        std::fs::symlink_metadata(work.path("link.tar"))
            .expect("it is there")
            .is_symlink()
    );

    symlink("/dev/null", work.path("null")).expect("a link");
    work.run(&["export", "-o", "null", "base"]).succeeds();
    let null = std::fs::metadata("/dev/null").expect("it is still there");
    assert!(null.file_type().is_char_device());
}

#[cfg(windows)]
#[test]
fn a_device_is_written_to() {
    let work = Workplace::new();
    work.import_base("base");
    for device in ["NUL", r"\\.\NUL"] {
        work.run(&["export", "-o", device, "base"]).succeeds();
    }
    assert_eq!(work.list("."), ["base"]);
}

#[cfg(unix)]
#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let work = Workplace::new();
    work.import_base("base");
    work.write("other", b"");
    work.run(&["export", "-o", "out.tar", "base"]).succeeds();
    let mode = |name| {
        std::fs::metadata(work.path(name))
            .expect("it exists")
            .permissions()
            .mode()
    };
    assert_eq!(mode("out.tar"), mode("other"));
}

#[test]
fn an_output_that_cannot_be_made_is_an_error() {
    let work = Workplace::new();
    work.import_base("base");
    work.create_folder("folder");
    work.run(&["export", "-o", "nowhere/out.tar", "base"])
        .fails("nowhere");
    work.run(&["export", "-o", "folder", "base"])
        .fails("folder");
    assert_eq!(work.list("folder"), [""; 0]);
}

#[test]
fn given_parents_must_be_the_layers_own() {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    work.write("small.tar", &small_tar(b"x"));
    work.run(&["import", "-l", "app", "-i", "small.tar", "top"])
        .succeeds();
    let export = |parents: &[&str]| {
        let options = parents.iter().flat_map(|parent| ["-l", parent]);
        let mut arguments = vec!["export", "-o", "out.tar"];
        arguments.extend(options);
        arguments.push("top");
        work.run(&arguments)
    };
    export(&["app", "base"]).succeeds();
    // As for an import, the nearest parent stands for the chain.
    export(&["app"]).succeeds();
    std::fs::remove_file(work.path("out.tar")).expect("it was exported");
    export(&["base", "app"]).fails("the parents of");
    export(&["base"]).fails("the parents of");
    export(&["app", "base", "base"]).fails("the parents of");
    assert_eq!(work.list("."), ["app", "base", "small.tar", "top"]);
}

#[test]
fn a_closed_pipe_prints_no_error() {
    let work = Workplace::new();
    work.import_base("base");
    let mut export = work.start(&["export", "base"]);
    let mut pipe = export.stdout.take().expect("piped");
    pipe.read_exact(&mut [0; 512]).expect("a header");
    drop(pipe);
    let run = Run::new(export.wait_with_output().expect("it ends"), &["export"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
}

#[test]
fn only_layers_are_exported() {
    let work = Workplace::new();
    work.create_folder("folder");
    let run = work.run(&["export", "--json", "-o", "out.tar", "folder"]);
    let run = run.fails("is not a layer: it is an empty folder");
    assert_eq!(run.json()["error"]["kind"], "not_found");
    assert_eq!(work.list("."), ["folder"]);
}
