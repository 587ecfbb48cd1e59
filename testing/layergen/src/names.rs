//! The paths of the files in a generated layer.
//!
//! Names are functions of the seed and a number, so that a later entry (a hard link) can name an
//! earlier file that nothing remembers.

use crate::rng::Rng;

/// One part of the tree and its share of the files.
pub(crate) struct Section {
    /// Path relative to the layer's root.
    pub(crate) path: &'static str,
    /// Share of the files, per thousand.
    pub(crate) share: u64,
    /// Number of files in each directory below.
    pub(crate) per_directory: u64,
}

/// The sections in output order; the shares add up to 1,000.
pub(crate) const SECTIONS: [Section; 7] = [
    Section {
        path: "Files/Program Files/Common Files",
        share: 30,
        per_directory: 12,
    },
    Section {
        path: "Files/ProgramData/Microsoft",
        share: 40,
        per_directory: 8,
    },
    Section {
        path: "Files/Users/Default/AppData/Local",
        share: 20,
        per_directory: 6,
    },
    Section {
        path: "Files/Windows/Fonts",
        share: 10,
        per_directory: 1000,
    },
    Section {
        path: "Files/Windows/Microsoft.NET/assembly",
        share: 150,
        per_directory: 3,
    },
    Section {
        path: "Files/Windows/SysWOW64",
        share: 250,
        per_directory: 60,
    },
    Section {
        path: "Files/Windows/System32",
        share: 500,
        per_directory: 45,
    },
];

const SYLLABLES: [&str; 32] = [
    "net", "sys", "win", "api", "core", "dev", "drv", "sec", "cert", "wmi", "dns", "rpc", "crypt",
    "shell", "user", "kern", "ntdll", "disp", "audio", "print", "prov", "host", "svc", "mgr",
    "cfg", "log", "evt", "task", "auth", "diag", "perf", "store",
];

const EXTENSIONS: [&str; 16] = [
    "dll", "dll", "dll", "dll", "dll", "exe", "exe", "mui", "mui", "mui", "sys", "inf", "xml",
    "dat", "nls", "cat",
];

/// Returns the name of directory number `index` of a section.
pub(crate) fn directory_name(seed: u64, section: usize, index: u64) -> String {
    let mut rng = Rng::keyed(seed, 0x0d1_0000 + section as u64, index);
    format!("{}{}_{index:x}", syllable(&mut rng), syllable(&mut rng))
}

/// Returns the name of file number `index` of the layer.
pub(crate) fn file_name(seed: u64, index: u64) -> String {
    let mut rng = Rng::keyed(seed, 0xf11e, index);
    let extension = EXTENSIONS[rng.below(EXTENSIONS.len() as u64) as usize];
    format!(
        "{}{}{index}.{extension}",
        syllable(&mut rng),
        syllable(&mut rng)
    )
}

/// Returns the name of WinSxS component number `index`.
pub(crate) fn component_name(seed: u64, index: u64) -> String {
    let mut rng = Rng::keyed(seed, 0x5c5, index);
    let (one, two) = (syllable(&mut rng), syllable(&mut rng));
    let build = 1 + rng.below(3000);
    let hash = rng.next_u64();
    format!(
        "amd64_microsoft-windows-{one}-{two}{index}_31bf3856ad364e35_10.0.20348.{build}_none_{hash:016x}"
    )
}

fn syllable(rng: &mut Rng) -> &'static str {
    SYLLABLES[rng.below(SYLLABLES.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_add_up() {
        assert_eq!(
            SECTIONS.iter().map(|section| section.share).sum::<u64>(),
            1000
        );
    }
}
