//! `time.json`: times and attributes in the records of a tar.

use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime};
use serde::Deserialize;
use vectors::{Check, files, same, tarball, time};
use wclayer::tar::{TarLayerWriter, TarProblem};
use wclayer::{Entry, FileEntry, LayerPath, LayerWriter};

use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::import::with_times;
use crate::layer;

#[derive(Deserialize)]
struct Times {
    pax_to_filetime: Vec<PaxToFiletime>,
    filetime_to_pax: Vec<FiletimeToPax>,
    fileattr: Vec<Attributes>,
    missing_time: Option<MissingTime>,
}

#[derive(Deserialize)]
struct PaxToFiletime {
    string: String,
    creation_time_from_pax_record: Option<u64>,
    creation_time_error: Option<String>,
    last_write_time_from_pax_mtime: Option<u64>,
    creation_time_when_only_mtime: Option<u64>,
    last_access_time_from_pax_atime: Option<u64>,
    change_time_from_pax_ctime: Option<u64>,
    tar_reader_error_for_mtime: Option<String>,
}

#[derive(Deserialize)]
struct FiletimeToPax {
    filetime: u64,
    pax_creationtime: Option<String>,
    pax_mtime_record: Option<String>,
    pax_atime_record: Option<String>,
    pax_ctime_record: Option<String>,
    ustar_mtime_field: String,
    creation_time_read_back: Option<u64>,
    tar_writer_error: Option<String>,
}

#[derive(Deserialize)]
struct Attributes {
    fileattr: Option<String>,
    typeflag: String,
    attributes: Option<u32>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct MissingTime {
    filetime: u64,
}

/// The modification time in the header of [`tarball::with_records`].
const HEADER_TIME: u64 = 116_444_736_010_000_000;

pub(crate) fn cases(json: &Path) -> Check<Vec<Case>> {
    let Some(vectors) = files::load_optional::<Times>(json)? else {
        return Ok(Vec::new());
    };
    let mut cases = Vec::new();
    for case in vectors.pax_to_filetime {
        let name = format!("pax_to_filetime `{}`", case.string);
        cases.push(Case::new(name, move || pax_to_filetime(&case)));
    }
    for case in vectors.filetime_to_pax {
        let name = format!("filetime_to_pax {}", case.filetime);
        cases.push(Case::new(name, move || filetime_to_pax(&case)));
    }
    for case in vectors.fileattr {
        let name = format!("fileattr {:?} of type {}", case.fileattr, case.typeflag);
        cases.push(Case::new(name, move || fileattr(&case)));
    }
    if let Some(case) = vectors.missing_time {
        cases.push(Case::new("missing_time", move || missing_time(&case)));
    }
    Ok(cases)
}

/// Returns the basic info of a tar with one member, or the problem with the tar.
fn read(type_flag: u8, records: &[(&str, &str)]) -> Check<Result<FileBasicInfo, String>> {
    let layer = layer::read(&tarball::with_records(type_flag, records))?;
    match (&layer.entries[..], &layer.error) {
        ([(Entry::File(file), _)], None) => Ok(Ok(file.basic_info)),
        ([], Some(error)) => match layer::problem(error) {
            Some(TarProblem::Time { .. } | TarProblem::Attributes(_)) => {
                Ok(Err(layer::describe(error)))
            }
            _ => Err(format!("the wrong error: {}", layer::describe(error))),
        },
        (entries, error) => Err(format!("got {entries:?} and {error:?}")),
    }
}

/// Checks the result that is required here for a time of the reference.
fn expected(text: &str, reference: Option<u64>) -> Check<(Option<u64>, Option<Difference>)> {
    match (time::parse_pax(text), reference) {
        (Some(nanoseconds), Some(reference)) => {
            let wrapped = time::to_filetime_of_reference(nanoseconds);
            same("the time, as the reference counts", &wrapped, &reference)?;
            let counts = time::reference_can_count(nanoseconds);
            let difference = (!counts).then_some(Difference::TimeRange);
            Ok((time::to_filetime(nanoseconds), difference))
        }
        (None, reference) => Ok((reference, None)),
        (Some(_), None) => Err("the vector rejects a decimal number".to_owned()),
    }
}

/// Returns the time stored in a layer: the nearest that Windows stores if no FILETIME is exact.
fn stored(text: &str, exact: Option<u64>) -> Option<u64> {
    exact.or_else(|| time::parse_pax(text).map(time::to_nearest_filetime))
}

fn pax_to_filetime(case: &PaxToFiletime) -> Check<Outcome> {
    let text = case.string.as_str();
    let parsed = FileTime::parse_pax(text).ok().map(FileTime::ticks);
    let is_error = case.creation_time_error.is_some();
    let (created, mut difference) = expected(
        text,
        case.creation_time_from_pax_record.filter(|_| !is_error),
    )?;
    same("the text alone", &created, &parsed)?;
    let created = stored(text, created);
    let record = read(b'0', &[("LIBARCHIVE.creationtime", text)])?.ok();
    same(
        "the time of creation",
        &created,
        &record.map(|info| info.creation_time.ticks()),
    )?;

    let refuses_tar = case.tar_reader_error_for_mtime.is_some();
    let given = |time: Option<u64>| time.filter(|_| !refuses_tar);
    let (written, _) = expected(text, given(case.last_write_time_from_pax_mtime))?;
    let written = stored(text, written);
    let info = read(b'0', &[("mtime", text)])?.ok();
    same(
        "the time of writing",
        &written,
        &info.map(|info| info.last_write_time.ticks()),
    )?;
    let (created, _) = expected(text, given(case.creation_time_when_only_mtime))?;
    let created = stored(text, created);
    same(
        "the creation, only mtime",
        &created,
        &info.map(|info| info.creation_time.ticks()),
    )?;

    let others = [
        ("atime", case.last_access_time_from_pax_atime),
        ("ctime", case.change_time_from_pax_ctime),
    ];
    for (key, reference) in others {
        let (time, _) = expected(text, given(reference))?;
        let mut time = stored(text, time);
        if text.is_empty() {
            // An empty record cancels the time; the reference has no time then.
            time = Some(HEADER_TIME);
            difference = Some(Difference::MissingTime);
        }
        let info = read(b'0', &[(key, text)])?.ok();
        let read = info.map(|info| match key {
            "atime" => info.last_access_time.ticks(),
            _ => info.change_time.ticks(),
        });
        same(key, &time, &read)?;
    }
    Ok(difference.map_or(Outcome::Matches, Outcome::from))
}

fn filetime_to_pax(case: &FiletimeToPax) -> Check<Outcome> {
    let basic_info = with_times([case.filetime; 4], 0);
    let path = LayerPath::parse(b"Files/x").map_err(|error| error.to_string())?;
    let file = FileEntry {
        path,
        basic_info,
        size: 0,
        metadata_first: true,
    };
    let mut writer = TarLayerWriter::new(Vec::new());
    let tar = layer::add(&mut writer, &file, &[], 1).and_then(|()| writer.finish());
    let tar = tar.map_err(|error| layer::describe(&error))?;
    let members = tarball::parse(&tar)?;
    let [member] = &members[..] else {
        return Err("expected one member".to_owned());
    };
    let record = |key| {
        member
            .record(key)
            .map(|text| String::from_utf8_lossy(text).into_owned())
    };
    let field = String::from_utf8_lossy(&member.header[tarball::MODIFIED]);
    let field = field.trim_end_matches('\0').to_owned();
    let read_back = layer::read(&tar)?.entries;
    match &read_back[..] {
        [(Entry::File(file), _)] => same("the basic info again", &basic_info, &file.basic_info)?,
        other => return Err(format!("read back {other:?}")),
    }
    let text = FileTime::from_ticks(case.filetime).to_pax();
    same("the text alone", &time::to_pax(case.filetime), &text)?;
    let records = ["LIBARCHIVE.creationtime", "mtime", "atime", "ctime"].map(record);
    if crate::differences::is_counted(case.filetime) {
        same("the reference's error", &None, &case.tar_writer_error)?;
        same(
            "the reference's own way back",
            &Some(case.filetime),
            &case.creation_time_read_back,
        )?;
        let expected = [
            &case.pax_creationtime,
            &case.pax_mtime_record,
            &case.pax_atime_record,
            &case.pax_ctime_record,
        ];
        same("the records", &expected.map(Clone::clone), &records)?;
        same("the header's time", &case.ustar_mtime_field, &field)?;
        return Ok(Outcome::Matches);
    }
    let seconds = time::from_filetime(case.filetime).div_euclid(1_000_000_000);
    let fits = (0..1 << 33).contains(&seconds);
    let in_header = fits && !text.contains('.');
    let exact = Some(text);
    let modified = exact.clone().filter(|_| !in_header);
    same(
        "the records",
        &[exact.clone(), modified, exact.clone(), exact],
        &records,
    )?;
    let field_value = if fits { seconds } else { 0 };
    same("the header's time", &format!("{field_value:011o}"), &field)?;
    Ok(Difference::TimeRange.into())
}

fn fileattr(case: &Attributes) -> Check<Outcome> {
    let [type_flag] = *case.typeflag.as_bytes() else {
        return Err("the vector's type is not a character".to_owned());
    };
    let expected = case.attributes.filter(|_| case.error.is_none());
    if let Some(text) = &case.fileattr {
        let parsed = FileAttributes::parse_decimal(text).ok();
        same(
            "the text alone",
            &expected,
            &parsed.map(|attributes| attributes.bits()),
        )?;
    }
    let record = case
        .fileattr
        .as_deref()
        .map(|text| ("MSWINDOWS.fileattr", text));
    let info = read(type_flag, record.as_slice())?.ok();
    same(
        "the attributes",
        &expected,
        &info.map(|info| info.attributes.bits()),
    )?;
    Ok(Outcome::Matches)
}

fn missing_time(case: &MissingTime) -> Check<Outcome> {
    let info = read(b'0', &[])?.map_err(|error| format!("expected times, got: {error}"))?;
    let times = crate::differences::times(&info);
    same("the times", &[HEADER_TIME; 4], &times)?;
    same(
        "whether the reference differs",
        &true,
        &(case.filetime != HEADER_TIME),
    )?;
    Ok(Difference::MissingTime.into())
}
