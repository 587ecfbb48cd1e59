//! `legacy_writer` of `import/` and `real_layers/`: a tar is imported on top of a parent.
//!
//! The comparison covers the transport folder and the layer's folder as `ImportLayer` finds them,
//! and the work done afterwards: links, removals, directory times, the utility VM.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

use fakewindows::{Call, FakeWindows, Imported, Snapshot};
use serde::Deserialize;
use vectors::blob::Blob;
use vectors::{Check, files, same, streams};
use wclayer::hcs::{self, Contents, Function, ImportOptions};
use wclayer::tar::TarLayerReader;
use wclayer::{Entry, Error, LayerPath, ParentChain};

use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::expected::Expected;
use crate::folder::{Item, plant};
use crate::import::{BasicInfo, Header, Import};
use crate::layer::{self, Layer};

const LAYER: &str = "/c/layers/app";
const PARENT: &str = "/c/layers/parent";

#[derive(Deserialize)]
struct Vector {
    legacy_writer: Option<Legacy>,
    legacy_writer_parent: Option<Vec<Item>>,
}

/// The result of the reference's writer.
#[derive(Deserialize)]
struct Legacy {
    error: Option<String>,
    entries: Option<Vec<Item>>,
    destination_entries: Option<Vec<Item>>,
    tombstones: Option<Vec<String>>,
    pending_links: Option<Vec<Link>>,
    directory_times: Option<Vec<Times>>,
    has_utility_vm: bool,
}

#[derive(Deserialize)]
struct Link {
    path: String,
    target: String,
    root: String,
}

#[derive(Deserialize)]
struct Times {
    path: String,
    basic_info: BasicInfo,
}

pub(crate) fn cases(root: &Path) -> Check<Vec<Case>> {
    let mut cases = Vec::new();
    for folder in ["import", "real_layers"] {
        let folder = root.join(folder);
        for (name, json) in files::json_files(&folder)? {
            let vector: Vector = files::load(&json)?;
            let tar = folder.join(format!("{name}.tar"));
            if let Some(legacy) = vector.legacy_writer {
                let parent = vector.legacy_writer_parent.unwrap_or_default();
                cases.push(Case::new(name, move || run(&json, &tar, &legacy, &parent)));
            }
        }
    }
    Ok(cases)
}

/// Our layer and the calls that created it.
struct Made {
    windows: FakeWindows,
    found: Imported,
    /// Whether `ImportLayer` accepted it: vectors may contain layers that no Windows accepts.
    is_complete: bool,
    /// The calls after `ImportLayer`.
    after: Vec<Call>,
}

fn run(json: &Path, tar: &Path, legacy: &Legacy, parent: &[Item]) -> Check<Outcome> {
    let import: Import = files::load(json)?;
    let tar = files::read(tar)?;
    let of_reading = Expected::of(&import, &tar)?.differences;
    let read = layer::read(&tar)?;
    let result = make(&tar, parent)?;
    let made = match (result, &legacy.error) {
        (Err(_), Some(_)) => return Ok(Outcome::Matches),
        (Err(error), None) => return refused(&read, of_reading, &error),
        (Ok(made), _) => made,
    };
    let mut differences = of_reading;
    differences.extend(found_in(&read));
    let result = match legacy.error {
        Some(_) => Ok(()),
        None => compare(&made, legacy, &read, &globals(&import)?, &mut differences),
    };
    match result {
        Ok(()) if legacy.error.is_some() && differences.is_empty() => {
            Err("the reference rejects it, and no rule gives a reason".to_owned())
        }
        Ok(()) => Ok(differences.into()),
        Err(error) => Err(error),
    }
    .map_err(|error| format!("{error} (the reference: {:?})", legacy.error))
}

/// Imports the tar on top of the parent; the outer error is one of the vector itself.
fn make(tar: &[u8], parent: &[Item]) -> Check<Result<Made, Error>> {
    let windows = FakeWindows::new().without(Function::ImportLayerBegin);
    plant(&windows, PARENT, parent, &[])?;
    let host = windows.host_compute();
    let mut source = TarLayerReader::new(Cursor::new(tar));
    let options = ImportOptions::default()
        .parents(ParentChain::from_nearest_first([PARENT]))
        .contents(Contents::Anything);
    let result = hcs::import(&host, &mut source, LAYER.as_ref(), &options, &());
    same("open files", &Vec::<String>::new(), &windows.open_handles())?;
    same("a failed layer", &result.is_ok(), &windows.exists(LAYER))?;
    let (found, is_complete) = match (windows.imported().pop(), result) {
        (None, Err(error)) => return Ok(Err(error)),
        (None, Ok(_)) => return Err("ImportLayer was not called".to_owned()),
        (Some(found), result) => (found, result.is_ok()),
    };
    let calls = windows.calls();
    let at = calls.iter().position(|call| call.function == "ImportLayer");
    let after = calls[at.unwrap_or_default()..].to_vec();
    Ok(Ok(Made {
        windows,
        found,
        is_complete,
        after,
    }))
}

/// Finds the reason why we reject a layer that the reference accepts.
fn refused(read: &Layer, of_reading: BTreeSet<Difference>, error: &Error) -> Check<Outcome> {
    if read.error.is_some() && !of_reading.is_empty() {
        return Ok(of_reading.into());
    }
    let takes_name = read.entries.iter().any(|(entry, _)| {
        let path = entry.path().to_string().to_ascii_lowercase();
        path == "tombstones.txt" || path.ends_with(".$wcidirs$")
    });
    match takes_name {
        true => Ok(Difference::TransportName.into()),
        false => Err(format!("rejected: {}", layer::describe(error))),
    }
}

/// Finds the parts of a layer that the reference's writer rejects or loses.
fn found_in(read: &Layer) -> BTreeSet<Difference> {
    let mut differences = BTreeSet::new();
    let mut seen: BTreeSet<LayerPath> = BTreeSet::new();
    for (entry, stream) in &read.entries {
        let path = entry.path();
        if path.parent().is_some_and(|parent| !seen.contains(&parent)) {
            differences.insert(Difference::MissingDirectory);
        }
        if let Entry::Link(link) = entry
            && !seen.contains(&link.target)
        {
            differences.insert(Difference::EarlyLink);
        }
        let is_utility_vm = path.to_string() == "UtilityVM";
        if is_utility_vm && !stream.is_empty() {
            differences.insert(Difference::UtilityVmStream);
        }
        let is_file = matches!(entry, Entry::File(_) | Entry::Link(_));
        if is_file && !seen.insert(path.clone()) {
            differences.insert(Difference::Duplicate);
        }
    }
    differences
}

/// The names of the global headers, which the reference writes as files.
fn globals(import: &Import) -> Check<Vec<LayerPath>> {
    let headers = import.tar_headers.iter().flatten();
    let names = headers
        .filter(|header| header.typeflag == "g")
        .map(Header::name)
        .collect::<Check<Vec<_>>>()?;
    Ok(names
        .iter()
        .filter_map(|name| LayerPath::parse(name).ok())
        .collect())
}

fn compare(
    made: &Made,
    legacy: &Legacy,
    read: &Layer,
    globals: &[LayerPath],
    differences: &mut BTreeSet<Difference>,
) -> Check {
    let entries = legacy.entries.as_deref().unwrap_or_default();
    compare_folder(
        "transport",
        entries,
        &made.found.transport,
        read,
        globals,
        differences,
    )?;
    let destination = legacy.destination_entries.as_deref().unwrap_or_default();
    compare_folder(
        "layer",
        destination,
        &made.found.layer,
        read,
        globals,
        differences,
    )?;
    if !made.is_complete {
        return Ok(());
    }
    compare_links(made, legacy)?;
    for removed in legacy.tombstones.iter().flatten() {
        let path = removed.replace('\\', "/");
        let is_added = read
            .entries
            .iter()
            .any(|(entry, _)| matches!(entry, Entry::File(_)) && entry.path().to_string() == path);
        let is_there = made.windows.exists(format!("{LAYER}/{path}"));
        same(&format!("whether {path} exists"), &is_added, &is_there)?;
    }
    for times in legacy.directory_times.iter().flatten() {
        let path = times.path.replace('\\', "/");
        let directory = made.windows.look(format!("{LAYER}/{path}"));
        let Some(directory) = directory else {
            // Windows decides the fate of other top-level names.
            let is_known = ["Files", "UtilityVM"]
                .iter()
                .any(|top| path.starts_with(top));
            same(&format!("whether {path} is missing"), &false, &is_known)?;
            continue;
        };
        let info: ntmeta::FileBasicInfo = times.basic_info.into();
        let last = legacy
            .directory_times
            .iter()
            .flatten()
            .rfind(|other| other.path == times.path);
        if last.is_some_and(|last| std::ptr::eq(last, times))
            && !differences.contains(&Difference::MissingTime)
        {
            same(
                &format!("the times of {path}"),
                &info.last_write_time,
                &directory.info.last_write_time,
            )?;
            same(
                &format!("the times of {path}"),
                &info.creation_time,
                &directory.info.creation_time,
            )?;
        }
    }
    let processed = made
        .after
        .iter()
        .any(|call| call.function == "ProcessUtilityImage");
    if processed && !legacy.has_utility_vm {
        differences.insert(Difference::UtilityVmSlash);
        return Ok(());
    }
    same(
        "whether the utility VM is processed",
        &legacy.has_utility_vm,
        &processed,
    )
}

/// Compares a folder with the reference's; additions of ours must be known.
fn compare_folder(
    what: &str,
    expected: &[Item],
    found: &Snapshot,
    read: &Layer,
    globals: &[LayerPath],
    differences: &mut BTreeSet<Difference>,
) -> Check {
    let mut ours: BTreeMap<LayerPath, _> = BTreeMap::new();
    for (path, seen) in found.iter().filter(|(path, _)| !path.is_empty()) {
        let path: LayerPath = path.parse().map_err(|error| format!("{path}: {error}"))?;
        ours.insert(path, seen);
    }
    for item in expected {
        let path = item.path()?;
        let Some(seen) = ours.remove(&path) else {
            if is_of_slash(&path, what, expected) {
                differences.insert(Difference::UtilityVmSlash);
                continue;
            }
            if globals.contains(&path) {
                continue;
            }
            return Err(format!("{what}: {path} is missing"));
        };
        same(
            &format!("{what}: whether {path} is a directory"),
            &item.dir,
            &seen.object.is_directory(),
        )?;
        if let Some(content) = item.content.as_ref().filter(|_| !item.dir) {
            compare_content(
                &format!("{what}: {path}"),
                &path,
                content,
                &seen.object.data,
                read,
                differences,
            )?;
        }
    }
    for path in ours.keys() {
        let name = path.to_string();
        let name = name.strip_suffix(".$wcidirs$").unwrap_or(&name).to_owned();
        let is_above = |entry: &Entry| entry.path().is_below(&name.parse().expect("a path"));
        let ours_alone =
            what == "layer" && (name == "layerchain.json" || name.starts_with("UtilityVM"));
        if ours_alone || name.starts_with('.') || name.starts_with("wclayer") {
            continue;
        }
        let boot_file = name.strip_suffix(".bak").filter(|_| what == "layer");
        let is_boot_file = |entry: &Entry| {
            let own = entry
                .path()
                .to_string()
                .rsplit('/')
                .next()
                .map(str::to_owned);
            own.is_some_and(|own| Some(own.as_str()) == boot_file)
        };
        if read.entries.iter().any(|(entry, _)| is_boot_file(entry)) {
            differences.insert(Difference::BootFileCase);
            continue;
        }
        // `ImportLayer` requires `Files`, so a layer without it gets the parent's.
        let is_files = what == "transport" && path.to_string().split('.').next() == Some("Files");
        match is_files || read.entries.iter().any(|(entry, _)| is_above(entry)) {
            true => drop(differences.insert(Difference::MissingDirectory)),
            false => return Err(format!("{what}: {path} is unexpected")),
        }
    }
    Ok(())
}

/// Returns whether the reference took `UtilityVM/` for an ordinary directory.
fn is_of_slash(path: &LayerPath, what: &str, expected: &[Item]) -> bool {
    let name = path.to_string();
    let is_it = name == "UtilityVM" || name == "UtilityVM.$wcidirs$";
    what == "transport"
        && is_it
        && expected
            .iter()
            .any(|item| item.path == "UtilityVM.$wcidirs$")
}

/// Compares a file's content with the reference's or, where reading the tar differs on purpose,
/// with the required content of the entry.
fn compare_content(
    what: &str,
    path: &LayerPath,
    expected: &Blob,
    ours: &[u8],
    read: &Layer,
    differences: &BTreeSet<Difference>,
) -> Check {
    let result = expected.check(what, ours);
    if result.is_ok() || differences.is_empty() {
        return result;
    }
    let name = path.to_string();
    let name = name.strip_suffix(".$wcidirs$").unwrap_or(&name);
    let entry = read
        .entries
        .iter()
        .rfind(|(entry, _)| entry.path().to_string() == name);
    let Some((Entry::File(file), stream)) = entry else {
        return result;
    };
    let attributes = file.basic_info.attributes.bits().to_le_bytes();
    let encoded = [&attributes[..], stream].concat();
    same(
        what,
        &streams::split(&encoded[4..])?,
        &streams::split(ours.get(4..).unwrap_or_default())?,
    )
}

fn compare_links(made: &Made, legacy: &Legacy) -> Check {
    let is_ours = |call: &&Call| call.function == "link" && call.arguments.contains(LAYER);
    let links: BTreeSet<String> = made
        .after
        .iter()
        .filter(is_ours)
        .map(|call| call.arguments.to_lowercase())
        .collect();
    let expected: BTreeSet<String> = legacy
        .pending_links
        .iter()
        .flatten()
        .map(|link| {
            let root = if link.root == "parent" { PARENT } else { LAYER };
            let [target, path] = [&link.target, &link.path].map(|path| path.replace('\\', "/"));
            format!("{root}/{target}, {LAYER}/{path}").to_lowercase()
        })
        .collect();
    same("the links", &expected, &links)
}
