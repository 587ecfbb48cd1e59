//! `import/` and `real_layers/`: the reference's operations for a layer tar.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use vectors::blob::{Blob, text_bytes};
use vectors::{Check, files};

use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::expected::{Expected, has_surrogate};
use crate::layer;

/// The reference's result for a tar.
#[derive(Debug, Deserialize)]
pub(crate) struct Import {
    #[serde(default)]
    pub(crate) tar_headers: Option<Vec<Header>>,
    #[serde(default)]
    pub(crate) ops: Option<Vec<Operation>>,
    pub(crate) total_size: u64,
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) panic: Option<String>,
}

/// An entry of the tar, as read by Go.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    name: String,
    name_hex: Option<String>,
    pub(crate) typeflag: String,
    pub(crate) size: u64,
    pub(crate) mtime: Option<Time>,
    pub(crate) atime: Option<Time>,
    pub(crate) ctime: Option<Time>,
    #[serde(default)]
    pub(crate) pax: Option<BTreeMap<String, String>>,
    pub(crate) data: Option<Blob>,
}

/// A Go time.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Time {
    sec: i64,
    nsec: i64,
}

/// A call to the reference's layer writer.
#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) op: String,
    name: String,
    name_hex: Option<String>,
    target: Option<String>,
    target_hex: Option<String>,
    pub(crate) basic_info: Option<BasicInfo>,
    pub(crate) size: Option<u64>,
    pub(crate) stream: Option<Blob>,
    #[serde(default)]
    pub(crate) stream_sha256_any_of: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) stream_headers: Option<Vec<StreamHeader>>,
}

/// `FILE_BASIC_INFO` in the vectors.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct BasicInfo {
    creation_time: u64,
    last_access_time: u64,
    last_write_time: u64,
    change_time: u64,
    attributes: u32,
}

/// The description of a stream in a backup stream; the hash covers the rest.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamHeader {
    pub(crate) id: u32,
    pub(crate) name: Option<String>,
}

impl Header {
    pub(crate) fn name(&self) -> Check<Vec<u8>> {
        text_bytes(&self.name, self.name_hex.as_deref())
    }

    pub(crate) fn record(&self, key: &str) -> Option<&str> {
        self.pax.as_ref()?.get(key).map(String::as_str)
    }
}

impl Time {
    /// Returns the nanoseconds since 1970.
    pub(crate) fn nanoseconds(self) -> i128 {
        i128::from(self.sec) * 1_000_000_000 + i128::from(self.nsec)
    }
}

impl Operation {
    pub(crate) fn name(&self) -> Check<Vec<u8>> {
        text_bytes(&self.name, self.name_hex.as_deref())
    }

    pub(crate) fn target(&self) -> Check<Vec<u8>> {
        let target = self
            .target
            .as_deref()
            .ok_or("the vector's link has no target")?;
        text_bytes(target, self.target_hex.as_deref())
    }
}

impl BasicInfo {
    pub(crate) fn times(&self) -> [u64; 4] {
        [
            self.creation_time,
            self.last_access_time,
            self.last_write_time,
            self.change_time,
        ]
    }

    pub(crate) fn attributes(&self) -> u32 {
        self.attributes
    }
}

impl From<BasicInfo> for ntmeta::FileBasicInfo {
    fn from(info: BasicInfo) -> Self {
        with_times(info.times(), info.attributes)
    }
}

/// Builds `FILE_BASIC_INFO` from its numbers.
pub(crate) fn with_times(times: [u64; 4], attributes: u32) -> ntmeta::FileBasicInfo {
    let [
        creation_time,
        last_access_time,
        last_write_time,
        change_time,
    ] = times.map(ntmeta::FileTime::from_ticks);
    let attributes = ntmeta::FileAttributes::from_bits_retain(attributes);
    ntmeta::FileBasicInfo {
        creation_time,
        last_access_time,
        last_write_time,
        change_time,
        attributes,
    }
}

/// Finds the cases: each JSON file with the tars of the same name, plain and compressed.
pub(crate) fn cases(folder: &Path) -> Check<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, json) in files::json_files(folder)? {
        let tars = ["tar", "tar.gz", "tar.zst"].map(|end| folder.join(format!("{name}.{end}")));
        for tar in tars.into_iter().filter(|tar| tar.exists()) {
            let name = tar
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let json = json.clone();
            let name = name.strip_suffix(".tar").unwrap_or(&name).to_owned();
            cases.push(Case::new(name, move || run(&json, &tar)));
        }
    }
    Ok(cases)
}

fn run(json: &Path, tar: &Path) -> Check<Outcome> {
    let import: Import = files::load(json)?;
    let tar = files::read(tar)?;
    let mut expected = Expected::of(&import, &tar)?;
    let layer = layer::read(&tar)?;
    expected.check(&layer)?;
    if layer
        .entries
        .iter()
        .any(|(_, stream)| has_surrogate(stream))
    {
        expected.differences.insert(Difference::Surrogate);
    }
    Ok(expected.differences.into())
}
