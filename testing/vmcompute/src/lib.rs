//! A stand-in for `vmcompute.dll`: every call on layers, done with folders.
//!
//! A layer is a folder whose `Files` holds all files of the layer and of its parents (unchanged
//! ones as hard links), which is how Windows sees a layer through its filter. What a plain file
//! cannot keep lies beside it in a hidden store ([`layer`]).
//!
//! | variable | meaning |
//! |---|---|
//! | `WCLAYER_STANDIN_LOG` | the file that gets a line of JSON for every call |
//! | `WCLAYER_STANDIN_FAIL` | `Function:n:hresult` (decimal, hexadecimal): its `n`th call fails |
//!
//! Without the feature `filter` the DLL lacks `ImportLayerBegin` and its kin, as old builds do.
//! On other systems than Windows the crate is empty.

#![cfg(windows)]
#![allow(
    non_snake_case,
    reason = "the names of the exports are those of Windows"
)]

mod calls;
#[cfg(feature = "filter")]
mod filter;
mod layer;
mod log;
mod stream;
mod transport;
