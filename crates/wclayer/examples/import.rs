//! Imports a layer tar as a portable layer: `import TAR FOLDER [PARENT]...`, nearest parent first.
//!
//! Without arguments, imports the two layers of the sample to a temporary folder.

use std::env;
use std::error::Error;
use std::fs::File;
use std::path::Path;

use wclayer::ParentChain;
use wclayer::portable::{self, ImportOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => import_sample(),
        [tar, folder, parents @ ..] => import(Path::new(tar), Path::new(folder), parents),
        [_] => Err("usage: import TAR FOLDER [PARENT]...".into()),
    }
}

fn import_sample() -> Result<(), Box<dyn Error>> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample");
    let layers = tempfile::tempdir()?;
    let [base, app] = ["base", "app"].map(|name| layers.path().join(name));
    import::<&Path>(&sample.join("base.tar.gz"), &base, &[])?;
    import(&sample.join("app.tar.gz"), &app, &[base])
}

fn import<P: AsRef<Path>>(tar: &Path, folder: &Path, parents: &[P]) -> Result<(), Box<dyn Error>> {
    let parents = parents.iter().map(AsRef::as_ref);
    let options = ImportOptions::default().parents(ParentChain::from_nearest_first(parents));
    let layer = portable::import(File::open(tar)?, folder, &options, &())?;
    let descriptor = layer.descriptor();
    println!("{}", layer.path().display());
    println!("  DiffID  {}", descriptor.diff_id);
    println!("  digest  {}", descriptor.source.digest);
    println!("  entries {}", descriptor.entries.total());
    Ok(())
}
