//! `usage`: sums by directory and by layer, and what is hidden.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wclayer::ErrorKind;
use wclayer::usage::{Usage, UsageOptions, usage};
use wclayer::view::View;

use super::common::{directory, plain};
use super::{Cancelled, open, path, write};

fn all(view: &View, options: &UsageOptions) -> Usage {
    let found = usage(view, options, &()).expect("readable");
    found.expect("something is there")
}

fn by_layer() -> UsageOptions {
    UsageOptions::default().depth(1).by_layer(true)
}

#[test]
fn a_file_with_two_names_counts_in_the_first_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |tar| {
        tar.directory("Files/b", &directory())?;
        tar.file("Files/b/file", &plain(), &[0; 700])?;
        tar.stream("Files/b/file", "s", &plain(), &[1; 50])?;
        tar.directory("Files/a", &directory())?;
        tar.hard_link("Files/a/link", "Files/b/file", &plain())
    });
    let view = open(&[layer]);
    let found = all(&view, &UsageOptions::default().depth(2));
    let sizes: Vec<_> = found
        .directories
        .iter()
        .map(|at| (at.path.to_string(), at.sum.size, at.sum.files))
        .collect();
    let expected = [("Files", 750, 1), ("Files/a", 750, 1), ("Files/b", 0, 0)];
    assert_eq!(
        sizes,
        expected.map(|(path, size, files)| (path.to_owned(), size, files))
    );
    assert_eq!((found.total.size, found.total.files), (750, 1));
    assert_eq!(found.layers, None);
}

#[test]
fn a_hidden_path_has_content_by_layer_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(&folder, "base.tar", |tar| {
        tar.file("Files/x", &plain(), &[0; 90])
    });
    let upper = write(&folder, "upper.tar", |tar| tar.whiteout("Files/x"));
    let view = open(&[upper, base]);
    let hidden = UsageOptions::default().path(Some(path("files/X")));
    assert_eq!(usage(&view, &hidden, &()).expect("readable"), None);
    let found = all(&view, &hidden.by_layer(true));
    let layers = found.layers.expect("asked for");
    assert_eq!((found.total.size, layers.hidden.size), (0, 90));
    assert_eq!(layers.efficiency, 0.0);
    assert_eq!(layers.largest[0].path, path("Files/x"));
    let nowhere = by_layer().path(Some(path("Files/nowhere")));
    assert_eq!(usage(&view, &nowhere, &()).expect("readable"), None);
}

#[test]
fn the_largest_hidden_files_come_first_and_equal_ones_by_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(&folder, "base.tar", |tar| {
        for name in 0..14 {
            let size = if name < 12 { 10 } else { name };
            tar.file(&format!("Files/{name:02}"), &plain(), &vec![0; size])?;
        }
        Ok(())
    });
    let upper = write(&folder, "upper.tar", |tar| tar.opaque("Files"));
    let found = all(&open(&[upper, base]), &by_layer());
    let largest = found.layers.expect("asked for").largest;
    let names: Vec<_> = largest.iter().map(|file| file.path.to_string()).collect();
    let expected = ["13", "12", "00", "01", "02", "03", "04", "05", "06", "07"];
    assert_eq!(names, expected.map(|name| format!("Files/{name}")));
}

#[test]
fn a_cancelled_sum_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |_| Ok(()));
    let view = open(&[layer]);
    let error = usage(&view, &by_layer(), &Cancelled).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

/// Directories with the sizes of the files in them, for each layer from the base up.
type Files = BTreeMap<(u8, u8), usize>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn content_of_a_layer_is_seen_or_hidden(
        layers in proptest::collection::vec(
            proptest::collection::btree_map((0_u8..3, 0_u8..3), 0_usize..2000, 0..6), 1..4,
        ),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut seen = Files::new();
        let mut paths = Vec::new();
        for (number, files) in layers.iter().enumerate() {
            paths.push(write(&folder, &format!("{number}.tar"), |tar| {
                for ((directory, name), size) in files {
                    tar.file(&format!("Files/{directory}/{name}"), &plain(), &vec![0; *size])?;
                }
                Ok(())
            }));
            seen.extend(files);
        }
        paths.reverse();
        let found = all(&open(&paths), &by_layer().depth(2));
        let total: usize = seen.values().sum();
        prop_assert_eq!((found.total.size, found.total.files), (total as u64, seen.len() as u64));
        for at in &found.directories[1..] {
            let in_it = seen.iter().filter(|((directory, _), _)| {
                at.path == path(&format!("Files/{directory}"))
            });
            prop_assert_eq!(at.sum.size, in_it.map(|(_, size)| *size as u64).sum::<u64>());
        }
        let by_layer = found.layers.expect("asked for");
        for (layer, files) in by_layer.layers.iter().zip(layers.iter().rev()) {
            let all: usize = files.values().sum();
            prop_assert_eq!((layer.sum.size, layer.sum.files), (all as u64, files.len() as u64));
        }
        let all: u64 = by_layer.layers.iter().map(|layer| layer.sum.size).sum();
        prop_assert_eq!(all - by_layer.hidden.size, total as u64);
    }
}
