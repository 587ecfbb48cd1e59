//! Layer tars for tests and benchmarks, made without the libraries under test.
//!
//! [`TarBuilder`] writes single entries as the reference writer lays them out, and raw ones that no
//! sane writer produces. [`generate`] streams a large, realistic layer from a seed. [`wrap_tree`]
//! converts a directory of real files to a layer. The same input yields the same bytes on every
//! machine: no clock, no floating point, no hash map.
//!
//! Nothing here uses `ntmeta` or `wclayer`: tests compare these with this crate, the second
//! implementation.
//!
//! Sources: OCI image-spec `layer.md`; microsoft/go-winio `backuptar/tar.go` for the
//! records; Go `archive/tar` `writer.go` for the blocks.
//!
//! ```
//! use layergen::{Meta, TarBuilder};
//!
//! let mut tar = TarBuilder::new(Vec::new());
//! tar.directory("Files", &Meta::with_attributes(0x10))?;
//! tar.file("Files/a.txt", &Meta::with_attributes(0x20), b"hello")?;
//! let bytes = tar.finish()?;
//! assert_eq!(bytes.len() % 512, 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod builder;
mod content;
mod descriptor;
mod generate;
mod hive;
mod meta;
mod names;
mod rng;
mod tree;

pub use builder::{Header, TarBuilder};
pub use descriptor::{Ace, security_descriptor, sid, standard_descriptors};
pub use generate::{Profile, Stats, generate};
pub use hive::minimal_hive;
pub use meta::{Meta, UNIX_EPOCH, pax_record, pax_time};
pub use rng::Rng;
pub use tree::wrap_tree;
