//! Prints a file of a layer: `read_file LAYER PATH [STREAM]`, where PATH is one such as
//! `Files/Windows/win.ini` and STREAM the name of an alternate data stream.
//!
//! Without arguments, prints a file of the sample.

use std::env;
use std::error::Error;
use std::io;

use wclayer::source::{self, OpenOptions};
use wclayer::view::Resolved;
use wclayer::{LayerPath, StreamName};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => {
            let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/app.tar.gz");
            print(sample, "Files/ProgramData/State/third.json", None)
        }
        [layer, path] => print(layer, path, None),
        [layer, path, stream] => print(layer, path, Some(stream)),
        _ => Err("usage: read_file LAYER PATH [STREAM]".into()),
    }
}

fn print(layer: &str, path: &str, stream: Option<&str>) -> Result<(), Box<dyn Error>> {
    let view = source::open(layer, &OpenOptions::default(), &())?;
    let path: LayerPath = path.parse()?;
    let stream = stream
        .map(|name| StreamName::parse(name.as_bytes()))
        .transpose()?;
    // Follows symbolic links and junctions, as Windows does.
    let Resolved::Found(node) = view.resolve(&path)? else {
        return Err(format!("`{path}` is not in the layer").into());
    };
    let mut content = view.content(&node, stream.as_ref())?.reader();
    io::copy(&mut content, &mut io::stdout().lock())?;
    Ok(())
}
