//! Generates a large layer that resembles Windows, from a seed.
//!
//! Two passes go over the same numbers: the first adds up the relative sizes of all files, the
//! second writes each file with its share of the requested total. The name and size of a file
//! follow from its number alone, so nothing is remembered and memory does not grow.

use std::io::{self, Write};

use crate::builder::TarBuilder;
use crate::content::Content;
use crate::descriptor::standard_descriptors;
use crate::hive::minimal_hive;
use crate::meta::{Meta, UNIX_EPOCH};
use crate::names::{SECTIONS, Section, component_name, directory_name, file_name};
use crate::rng::Rng;

/// The amount to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Number of regular files below `Files`, not counting the five hives.
    pub files: u32,
    /// Total size of their contents, in bytes; accurate to one byte per file.
    pub total_bytes: u64,
}

impl Profile {
    /// Returns about 8 MB in 400 files, for unit tests.
    pub fn small() -> Self {
        Self {
            files: 400,
            total_bytes: 8_000_000,
        }
    }

    /// Returns about 300 MB in 9,000 files, like a Nano Server.
    pub fn medium() -> Self {
        Self {
            files: 9_000,
            total_bytes: 300_000_000,
        }
    }

    /// Returns about 1.2 GB in 30,000 files, like a part of a Server Core.
    pub fn large() -> Self {
        Self {
            files: 30_000,
            total_bytes: 1_200_000_000,
        }
    }
}

/// Counts of the generated content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Regular files, including hives.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Hard links.
    pub hard_links: u64,
    /// Alternate data streams.
    pub streams: u64,
    /// Content of files and streams, in bytes.
    pub content_bytes: u64,
    /// The whole tar, in bytes.
    pub tar_bytes: u64,
}

/// Writes the layer determined by `seed` and `profile`; `out` should be buffered.
///
/// # Errors
///
/// Returns the errors of the writer.
pub fn generate<W: Write>(seed: u64, profile: Profile, out: W) -> io::Result<Stats> {
    let mut generator = Generator {
        seed,
        profile,
        sizes: Sizes::new(seed, profile),
        descriptors: standard_descriptors(),
        content: Content::new(Rng::new(seed)),
        tar: TarBuilder::new(out),
        stats: Stats::default(),
    };
    generator.directory("Files")?;
    let mut parents = Vec::new();
    for (number, section) in SECTIONS.iter().enumerate() {
        generator.parents(&mut parents, section.path)?;
        generator.section(number)?;
    }
    generator.config()?;
    generator.side_by_side()?;
    generator.hives()?;
    let Generator { tar, mut stats, .. } = generator;
    stats.tar_bytes = tar.position() + 1024;
    tar.finish()?;
    Ok(stats)
}

/// One file in seven has a second name in WinSxS: about 15 %.
const LINKED_ONE_IN: u64 = 7;
const STREAM_ONE_IN: u64 = 100;
const LINKS_PER_COMPONENT: u64 = 4;
const HIVES: [(&str, &str); 5] = [
    ("DefaultUser", "DEFAULT"),
    ("Sam", "SAM"),
    ("Security", "SECURITY"),
    ("Software", "SOFTWARE"),
    ("System", "SYSTEM"),
];
/// 2024-05-08 00:00:00 UTC as a FILETIME; files are up to four years older.
const NEWEST: u64 = UNIX_EPOCH + 1_715_126_400 * 10_000_000;
const FOUR_YEARS: u64 = 4 * 365 * 86_400 * 10_000_000;

const PURPOSE_SIZE: u64 = 1;
const PURPOSE_META: u64 = 2;
const PURPOSE_CONTENT: u64 = 3;
const PURPOSE_DIRECTORY: u64 = 4;

struct Generator<W: Write> {
    seed: u64,
    profile: Profile,
    sizes: Sizes,
    descriptors: Vec<Vec<u8>>,
    content: Content,
    tar: TarBuilder<W>,
    stats: Stats,
}

impl<W: Write> Generator<W> {
    /// Writes the ancestors of `path` that are not ancestors of the previous path.
    fn parents(&mut self, known: &mut Vec<String>, path: &str) -> io::Result<()> {
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let directory = &path[..at];
            if directory != "Files" && !known.iter().any(|other| other == directory) {
                self.directory(directory)?;
                known.push(directory.to_owned());
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &str) -> io::Result<()> {
        let mut rng = Rng::keyed(self.seed, PURPOSE_DIRECTORY, self.stats.directories);
        let descriptor = 6 + rng.below(6) as usize;
        let meta = self.meta(&mut rng, 0x10, descriptor);
        self.stats.directories += 1;
        self.tar.directory(path, &meta)
    }

    fn section(&mut self, section: usize) -> io::Result<()> {
        let (first, end) = section_range(section, self.profile.files);
        let mut path = String::new();
        for index in first..end {
            let (directory, new) = place(self.seed, section, index - first);
            if new {
                path = directory;
                if path != SECTIONS[section].path {
                    self.directory(&path)?;
                }
            }
            self.file(&path, index)?;
        }
        Ok(())
    }

    fn file(&mut self, directory: &str, index: u64) -> io::Result<()> {
        let path = format!("{directory}/{}", file_name(self.seed, index));
        let meta = self.file_meta(index);
        let size = self.sizes.size(index);
        self.content
            .restart(Rng::keyed(self.seed, PURPOSE_CONTENT, index));
        self.tar.file_from(&path, &meta, size, &mut self.content)?;
        self.stats.files += 1;
        self.stats.content_bytes += size;
        if index % STREAM_ONE_IN == STREAM_ONE_IN / 2 {
            let stream = b"[ZoneTransfer]\r\nZoneId=3\r\n";
            self.tar.stream(&path, "Zone.Identifier", &meta, stream)?;
            self.stats.streams += 1;
            self.stats.content_bytes += stream.len() as u64;
        }
        Ok(())
    }

    /// The five hives, at their paths in a base layer.
    fn config(&mut self) -> io::Result<()> {
        let directory = "Files/Windows/System32/config";
        self.directory(directory)?;
        for (name, config) in HIVES {
            self.hive(&format!("{directory}/{config}"), name)?;
        }
        Ok(())
    }

    fn hives(&mut self) -> io::Result<()> {
        self.directory("Hives")?;
        for (name, _) in HIVES {
            self.hive(&format!("Hives/{name}_Base"), name)?;
        }
        Ok(())
    }

    fn hive(&mut self, path: &str, name: &str) -> io::Result<()> {
        let content = minimal_hive(&format!("{name}_Base"), false);
        let mut rng = Rng::keyed(self.seed, PURPOSE_META, u64::MAX);
        let meta = self.meta(&mut rng, 0x20, 3);
        self.stats.files += 1;
        self.stats.content_bytes += content.len() as u64;
        self.tar.file(path, &meta, &content)
    }

    /// WinSxS: additional names for one file in seven, a few in each component's directory.
    fn side_by_side(&mut self) -> io::Result<()> {
        self.directory("Files/Windows/WinSxS")?;
        let mut component = String::new();
        for section in 0..SECTIONS.len() {
            let (first, end) = section_range(section, self.profile.files);
            for index in (first..end).filter(|index| index.is_multiple_of(LINKED_ONE_IN)) {
                if self.stats.hard_links.is_multiple_of(LINKS_PER_COMPONENT) {
                    let number = self.stats.hard_links / LINKS_PER_COMPONENT;
                    component = component_name(self.seed, number);
                    component.insert_str(0, "Files/Windows/WinSxS/");
                    self.directory(&component)?;
                }
                let name = file_name(self.seed, index);
                let target = format!("{}/{name}", place(self.seed, section, index - first).0);
                let meta = self.file_meta(index);
                self.tar
                    .hard_link(&format!("{component}/{name}"), &target, &meta)?;
                self.stats.hard_links += 1;
            }
        }
        Ok(())
    }

    fn file_meta(&self, index: u64) -> Meta {
        let mut rng = Rng::keyed(self.seed, PURPOSE_META, index);
        // Most Windows files have the same descriptor.
        let descriptor = rng.below(24).saturating_sub(18) as usize;
        self.meta(&mut rng, 0x20, descriptor)
    }

    fn meta(&self, rng: &mut Rng, attributes: u32, descriptor: usize) -> Meta {
        let created = NEWEST - rng.below(FOUR_YEARS);
        let written = created + rng.below(86_400 * 10_000_000);
        Meta {
            attributes: Some(attributes),
            creation_time: Some(created),
            access_time: Some(written + rng.below(10_000_000)),
            write_time: Some(written),
            change_time: Some(written + rng.below(3600 * 10_000_000)),
            security_descriptor: Some(self.descriptors[descriptor].clone()),
            ..Meta::default()
        }
    }
}

/// Returns the range of file numbers of a section: first and one past the last.
fn section_range(section: usize, files: u32) -> (u64, u64) {
    let before: u64 = SECTIONS[..section]
        .iter()
        .map(|section| section.share)
        .sum();
    let end = before + SECTIONS[section].share;
    (
        u64::from(files) * before / 1000,
        u64::from(files) * end / 1000,
    )
}

/// Returns the directory of the `nth` file of a section, and whether it is the first file there.
fn place(seed: u64, section: usize, nth: u64) -> (String, bool) {
    let Section {
        path,
        per_directory,
        ..
    } = &SECTIONS[section];
    let directory = nth / per_directory;
    let new = nth.is_multiple_of(*per_directory);
    if directory == 0 {
        return ((*path).to_owned(), new);
    }
    (
        format!("{path}/{}", directory_name(seed, section, directory)),
        new,
    )
}

/// Distributes the total over the files: a log-normal body, and a few giants of 8 to 40 MB that
/// make up about an eighth of it.
struct Sizes {
    seed: u64,
    body_bytes: u64,
    body_weight: u128,
    giant_every: u64,
}

impl Sizes {
    fn new(seed: u64, profile: Profile) -> Self {
        let giants = profile.total_bytes / 192_000_000;
        let giant_every = u64::from(profile.files)
            .checked_div(giants)
            .unwrap_or(u64::MAX)
            .max(2);
        let mut sizes = Self {
            seed,
            body_bytes: 0,
            body_weight: 0,
            giant_every,
        };
        let mut giant_bytes = 0;
        for index in 0..u64::from(profile.files) {
            match sizes.giant(index) {
                Some(size) => giant_bytes += size,
                None => sizes.body_weight += u128::from(sizes.weight(index)),
            }
        }
        sizes.body_bytes = profile.total_bytes.saturating_sub(giant_bytes);
        sizes
    }

    /// Returns the size of file number `index`, in bytes.
    fn size(&self, index: u64) -> u64 {
        self.giant(index).unwrap_or_else(|| {
            let part = u128::from(self.weight(index)) * u128::from(self.body_bytes);
            (part / self.body_weight.max(1)) as u64
        })
    }

    fn giant(&self, index: u64) -> Option<u64> {
        (index % self.giant_every == self.giant_every - 1)
            .then(|| 8_000_000 + Rng::keyed(self.seed, PURPOSE_SIZE, index).below(32_000_000))
    }

    /// Returns two to the power of a nearly normal number with a deviation of 2.6, in integers
    /// only: the sum of twelve uniform 16-bit numbers has the deviation 65,536.
    fn weight(&self, index: u64) -> u64 {
        let mut rng = Rng::keyed(self.seed, PURPOSE_SIZE, index);
        let mut sum = 0;
        for _ in 0..3 {
            let bits = rng.next_u64();
            sum += (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        }
        // Between 0 and 31.2, in 65,536ths; linear between two powers.
        let exponent = sum * 26 / 10;
        let fraction = exponent & 0xffff;
        ((0x1_0000 + fraction) << (exponent >> 16)) >> 16
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// FNV-1a, 64 bits.
    struct Hash(u64);

    impl Write for Hash {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            for &byte in buffer {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn hash(seed: u64, profile: Profile) -> u64 {
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        generate(seed, profile, &mut hash).unwrap();
        hash.0
    }

    const TINY: Profile = Profile {
        files: 100,
        total_bytes: 300_000,
    };

    /// Changes only if the generator does, which makes older measurements incomparable.
    const PINNED: u64 = 5_571_193_621_165_603_797;

    #[test]
    fn the_same_seed_gives_the_same_bytes_everywhere() {
        assert_eq!(hash(1, TINY), PINNED);
        assert_ne!(hash(2, TINY), PINNED);
    }

    #[test]
    fn the_presets_have_the_documented_sizes() {
        let stats = generate(7, Profile::small(), io::sink()).unwrap();
        assert!(
            (7_900_000..8_200_000).contains(&stats.content_bytes),
            "{stats:?}"
        );
        assert_eq!(stats.files, 410);
        assert!((50..70).contains(&stats.hard_links), "{stats:?}");
        assert_eq!(stats.streams, 4);
    }

    #[test]
    fn few_or_no_files_also_make_a_layer() {
        for files in 0..4 {
            generate(
                1,
                Profile {
                    files,
                    total_bytes: 1000,
                },
                io::sink(),
            )
            .unwrap();
        }
    }

    #[test]
    fn parents_and_link_targets_come_first_and_names_are_unique() {
        let mut bytes = Vec::new();
        let stats = generate(3, Profile::small(), &mut bytes).unwrap();
        assert_eq!(stats.tar_bytes, bytes.len() as u64);
        let mut seen = BTreeSet::new();
        let mut archive = tar::Archive::new(&bytes[..]);
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            if let Some((directory, _)) = path.rsplit_once('/') {
                assert!(seen.contains(directory), "{path}");
            }
            if let Some(target) = entry.link_name_bytes() {
                assert!(
                    seen.contains(std::str::from_utf8(&target).unwrap()),
                    "{path}"
                );
            }
            assert!(seen.insert(path.clone()), "{path}");
        }
    }
}
