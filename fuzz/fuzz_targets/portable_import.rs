//! Import into a portable layer: any bytes are either rejected without leaving anything behind, or
//! exported again bit for bit; the layer's index agrees with the tar.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use wclayer::compression::{Compression, Decoder};
use wclayer::portable::{self, ImportOptions};
use wclayer_fuzz::repair_checksums;

fuzz_target!(|data: &[u8]| {
    let tar = repair_checksums(data);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layer = folder.path().join("layer");
    match portable::import(
        Cursor::new(tar.clone()),
        &layer,
        &ImportOptions::default(),
        &(),
    ) {
        Ok(layer) => {
            let mut exported = Vec::new();
            layer
                .export(&mut exported, Compression::None.into(), &())
                .expect("an imported layer can be exported");
            let mut plain = Vec::new();
            let mut decoder = Decoder::new(&tar[..]).expect("memory");
            std::io::copy(&mut decoder, &mut plain).expect("it was decoded during the import");
            assert!(
                exported == plain,
                "the exported tar differs from the imported one"
            );
        }
        Err(_) => {
            let left = folder.path().read_dir().expect("the folder exists").count();
            assert_eq!(left, 0, "a failed import left something behind");
        }
    }
});
