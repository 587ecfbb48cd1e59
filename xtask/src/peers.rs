//! `cargo xtask peers`: other programs read our output.
//!
//! Each layer takes two routes: `wclayer` imports and exports it (as gzip), and the library's tar
//! writer rewrites it from the entries that its reader returns. Python's `tarfile` and `bsdtar`
//! must list both results like the original, with the same content; `skopeo` must copy an image of
//! all exported layers; and `wclayer extract` must extract the same content as `bsdtar`. A missing
//! program is reported and skipped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tempfile::TempDir;
use wclayer::Digest;
use wclayer::compression::Decoder;
use wclayer::hub;
use wclayer::tar::{TarLayerReader, TarLayerWriter};

use crate::oci::{self, Blob};
use crate::{Result, build};

/// Let Python, bsdtar and skopeo read layers that we have written
#[derive(Args)]
pub(crate) struct Options {
    /// Layers in gzip form, each a child of the previous one [default: the sample]
    layers: Vec<PathBuf>,
    /// Fail if a program is missing instead of skipping it
    #[arg(long)]
    all: bool,
}

/// Prints one line per member: type, size, time, names and the hash of its content.
const PYTHON_LIST: &str = r#"
import hashlib, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    for member in tar:
        content = tar.extractfile(member).read() if member.isreg() else b""
        names = ascii(member.name), ascii(member.linkname)
        print(member.type, member.size, member.mtime, *names, hashlib.sha256(content).hexdigest())
"#;

/// A layer in the three forms to compare.
struct Layer {
    name: String,
    original: PathBuf,
    exported: PathBuf,
    rewritten: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result {
    let wclayer = build::wclayer()?;
    let folder = TempDir::with_prefix("wclayer-peers-")?;
    let sample = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("examples")
        .join("sample");
    let originals = match &options.layers[..] {
        [] => vec![sample.join("base.tar.gz"), sample.join("app.tar.gz")],
        given => given.to_vec(),
    };
    let layers = make_layers(&wclayer, &originals, folder.path())?;
    let blobs = layers
        .iter()
        .map(check_export)
        .collect::<Result<Vec<Blob>>>()?;
    let mut missing = Vec::new();
    for program in ["python3", "bsdtar", "skopeo"] {
        if !build::is_installed(program) {
            missing.push(program);
        } else if program == "skopeo" {
            check_skopeo(&blobs, folder.path())?;
        } else {
            layers
                .iter()
                .try_for_each(|layer| check_listing(layer, program))?;
        }
        if program == "bsdtar" && !missing.contains(&program) {
            let check = |layer| check_extracted(layer, &wclayer, folder.path());
            layers.iter().try_for_each(check)?;
        }
    }
    for program in &missing {
        println!("{program}: NOT INSTALLED, SKIPPED");
    }
    match missing[..] {
        [_, ..] if options.all => Err("a program is missing".into()),
        _ => Ok(()),
    }
}

/// Imports, exports and rewrites each layer.
fn make_layers(wclayer: &Path, originals: &[PathBuf], folder: &Path) -> Result<Vec<Layer>> {
    let mut parent: Option<PathBuf> = None;
    let mut layers = Vec::new();
    for (number, original) in originals.iter().enumerate() {
        let file = |suffix: &str| folder.join(format!("{number}{suffix}"));
        let (imported, exported, rewritten) = (file(""), file(".tar.gz"), file(".tar"));
        let mut import = Command::new(wclayer);
        import.args(["import", "-q"]);
        if let Some(parent) = &parent {
            import.arg("-l").arg(parent);
        }
        output(import.arg("-i").args([original, &imported]))?;
        output(
            Command::new(wclayer)
                .args(["export", "-qzo"])
                .args([&exported, &imported]),
        )?;
        let mut reader = TarLayerReader::new(BufReader::new(Decoder::new(File::open(original)?)?));
        let writer = TarLayerWriter::new(BufWriter::new(File::create(&rewritten)?));
        hub::copy(&mut reader, writer, &())?
            .into_inner()?
            .sync_all()?;
        let name = original.display().to_string();
        layers.push(Layer {
            name,
            original: original.clone(),
            exported,
            rewritten,
        });
        parent = Some(imported);
    }
    Ok(layers)
}

/// Checks that the export is the original tar, and returns it as a blob.
fn check_export(layer: &Layer) -> Result<Blob> {
    let unpack = |path: &Path| -> Result<Vec<u8>> {
        let mut tar = Vec::new();
        MultiGzDecoder::new(File::open(path)?).read_to_end(&mut tar)?;
        Ok(tar)
    };
    let (original, exported) = (unpack(&layer.original)?, unpack(&layer.exported)?);
    if original != exported {
        return Err(format!("the export of {} differs from the imported tar", layer.name).into());
    }
    let diff_id = oci::digest(&exported);
    println!(
        "wclayer: {}: exported as imported, DiffID {diff_id}",
        layer.name
    );
    Ok(Blob {
        bytes: fs::read(&layer.exported)?,
        diff_id,
    })
}

/// Checks that a program lists both forms of a layer like the original.
fn check_listing(layer: &Layer, program: &str) -> Result {
    let list = |path: &Path| -> Result<String> {
        let mut command = Command::new(program);
        match program {
            "python3" => command.args(["-c", PYTHON_LIST]),
            _ => command.arg("-tvf"),
        };
        output(command.arg(path).env("LC_ALL", "C.UTF-8"))
    };
    let expected = list(&layer.original)?;
    if expected.is_empty() {
        return Err(format!("{program} finds no entries in {}", layer.name).into());
    }
    for (form, path) in [
        ("exported", &layer.exported),
        ("rewritten", &layer.rewritten),
    ] {
        let listed = list(path)?;
        if let Some((is, was)) = listed
            .lines()
            .zip(expected.lines())
            .find(|(is, was)| is != was)
        {
            return Err(format!(
                "{program}: {} {form}:\n  {is}\ninstead of\n  {was}",
                layer.name
            )
            .into());
        }
        let (count, wanted) = (listed.lines().count(), expected.lines().count());
        if count != wanted {
            return Err(format!("{program}: {count} members {form}, {wanted} before").into());
        }
    }
    println!(
        "{program}: {}: {} members, the same thrice",
        layer.name,
        expected.lines().count()
    );
    Ok(())
}

/// Checks that bsdtar and we extract the same files with the same content.
///
/// Alternate data streams and whiteouts, which bsdtar extracts as files, are ignored, and so are
/// links: bsdtar only follows hard links within a layer, and Windows links lead elsewhere on the
/// host.
fn check_extracted(layer: &Layer, wclayer: &Path, folder: &Path) -> Result {
    let [theirs, ours] = ["theirs", "ours"].map(|name| folder.join(name));
    for out in [&theirs, &ours] {
        if out.exists() {
            fs::remove_dir_all(out)?;
        }
        fs::create_dir(out)?;
    }
    let mut bsdtar = Command::new("bsdtar");
    bsdtar
        .arg("-xf")
        .arg(&layer.original)
        .arg("-C")
        .arg(&theirs);
    // bsdtar fails for a hard link to a parent's file, and the exit code has no details.
    bsdtar.stderr(std::process::Stdio::null()).status()?;
    let mut extract = Command::new(wclayer);
    extract.args(["extract", "-q", "--this-layer"]);
    extract.arg(&layer.original).arg("-C").arg(&ours);
    extract.stderr(std::process::Stdio::null()).status()?;
    let (theirs, ours) = (contents(&theirs)?, contents(&ours)?);
    if let Some((path, _)) = theirs
        .iter()
        .find(|(path, hash)| ours.get(*path) != Some(*hash))
    {
        return Err(format!("{}: {path} is extracted differently by bsdtar", layer.name).into());
    }
    if theirs.is_empty() || ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return Err(format!("{}: {ours} files, bsdtar has {theirs}", layer.name).into());
    }
    println!(
        "bsdtar: {}: {} files extracted, the same by both",
        layer.name,
        ours.len()
    );
    Ok(())
}

/// Returns the hash of each plain file below a folder by its relative path, ignoring whiteouts and
/// alternate data streams.
fn contents(folder: &Path) -> Result<BTreeMap<String, Digest>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
            let kind = kind?;
            let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && !name.contains(':') && !name.contains("/.wh.") {
                found.insert(name, Digest::of(&fs::read(path)?));
            }
        }
    }
    Ok(found)
}

/// Checks that skopeo copies an image of the layers, and that it stores our blobs unchanged.
fn check_skopeo(blobs: &[Blob], folder: &Path) -> Result {
    let (layout, copied) = (folder.join("layout"), folder.join("copied"));
    oci::write_layout(&layout, blobs)?;
    let place =
        |transport: &str, path: &Path, tag: &str| format!("{transport}:{}{tag}", path.display());
    output(
        Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .args([place("oci", &layout, ":latest"), place("dir", &copied, "")]),
    )?;
    let manifest: Value = serde_json::from_slice(&fs::read(copied.join("manifest.json"))?)?;
    let layers = manifest["layers"]
        .as_array()
        .ok_or("skopeo did not write a list of layers")?;
    if layers.len() != blobs.len() {
        return Err(format!("skopeo copied {} layers of {}", layers.len(), blobs.len()).into());
    }
    for (layer, blob) in layers.iter().zip(blobs) {
        let digest = oci::digest(&blob.bytes);
        let stored = fs::read(copied.join(digest.trim_start_matches("sha256:")))?;
        if layer["digest"] != digest.as_str() || stored != blob.bytes {
            return Err(format!("skopeo changed layer {digest}").into());
        }
        println!("skopeo: copied layer {digest}");
    }
    Ok(())
}

/// Runs a command that must succeed without output on standard error; returns its output.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.is_empty() {
        return Err(format!("{command:?}: {}\n{said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
