//! What replaces hcsshim's layer functions on Windows. Needs an elevated prompt.
//!
//! | hcsshim | here |
//! |---|---|
//! | `hcsshim.ImportLayer(info, layer, folder, parents)` | `hcs::import_layer` |
//! | `hcsshim.NewLayerWriter(info, layer, parents)` | `hcs::new_layer_writer` |
//! | `ociwclayer.ImportLayerFromTar(ctx, r, layer, parents)` | `hcs::import` of a `BlobReader` |
//!
//! ```text
//! hcsshim folder LAYER TRANSPORT_FOLDER [PARENT]...
//! hcsshim writer LAYER TAR [PARENT]...
//! hcsshim tar LAYER TAR [PARENT]...
//! ```

#[cfg(windows)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    windows::run()
}

#[cfg(not(windows))]
fn main() {
    println!("This example needs the Host Compute Service of Windows.");
}

#[cfg(windows)]
mod windows {
    use std::env;
    use std::error::Error;
    use std::fs::File;
    use std::path::{Path, PathBuf};

    use wclayer::ParentChain;
    use wclayer::hcs::{self, Contents, HostCompute, ImportOptions};
    use wclayer::hub;
    use wclayer::tar::BlobReader;
    use wclayer::volume::{Privilege, Volume};
    use wclayer::windows::{Api, NtVolume, host_compute};

    type Host = HostCompute<NtVolume>;

    pub(super) fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
        let [what, layer, source, parents @ ..] = &arguments[..] else {
            return Err("usage: hcsshim folder|writer|tar LAYER SOURCE [PARENT]...".into());
        };
        let host = host_compute(Api::Auto)?;
        // Nearest first, as hcsshim has them.
        let parents = ParentChain::from_nearest_first(parents);
        match what.to_str() {
            Some("folder") => Ok(hcs::import_layer(&host, layer, source, &parents)?),
            Some("writer") => write(&host, layer, source, &parents),
            Some("tar") => import(&host, layer, source, parents),
            _ => Err("the first argument is folder, writer or tar".into()),
        }
    }

    /// Writes entries to a folder that exists and is empty. hcsshim's `Close` imports whatever was
    /// written; here only `finish`, which `copy` calls after the last entry, completes the layer.
    fn write(
        host: &Host,
        layer: &Path,
        tar: &Path,
        parents: &ParentChain,
    ) -> Result<(), Box<dyn Error>> {
        let wanted = [Privilege::Backup, Privilege::Restore];
        let privileges = host.volume.enable(&wanted)?;
        let mut reader = BlobReader::new(File::open(tar)?, None, &())?;
        let writer = hcs::new_layer_writer(host, layer, parents, Contents::Anything, &privileges)?;
        let summary = hub::copy(&mut reader, writer, &())?;
        summary
            .warnings
            .iter()
            .for_each(|warning| eprintln!("{warning}"));
        Ok(())
    }

    /// Imports a tar as a whole: leaves nothing behind when it fails, and stores the parents.
    fn import(
        host: &Host,
        layer: &Path,
        tar: &Path,
        parents: ParentChain,
    ) -> Result<(), Box<dyn Error>> {
        let options = ImportOptions::default().parents(parents);
        let mut reader = BlobReader::new(File::open(tar)?, None, &())?;
        let imported = hcs::import(host, &mut reader, layer, &options, &())?;
        println!("{} entries", imported.entries.total());
        Ok(())
    }
}
