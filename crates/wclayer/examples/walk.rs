//! Lists what a container would see of a layer and its parents: `walk LAYER [PARENT]...`, nearest
//! parent first. A layer is a portable layer, a transport folder or a layer tar.
//!
//! Without arguments, walks the sample.

use std::env;
use std::error::Error;

use wclayer::ParentChain;
use wclayer::source::{self, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut layers: Vec<String> = env::args().skip(1).collect();
    if layers.is_empty() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample");
        layers = ["app", "base"]
            .map(|name| format!("{sample}/{name}.tar.gz"))
            .to_vec();
    }
    let parents = layers.split_off(1);
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(parents),
        ..OpenOptions::default()
    };
    let view = source::open(&layers[0], &options, &())?;
    for node in view.walk(None) {
        let node = node?;
        // The number of the layer that the file comes from: 0 is the nearest.
        println!("{:2} {:>10} {}", node.layer, node.size(), node.path);
    }
    Ok(())
}
