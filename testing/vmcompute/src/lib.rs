//! A stand-in for `vmcompute.dll` that implements every layer call with folders.
//!
//! A layer is a folder whose `Files` holds all files of the layer and of its parents (unchanged
//! ones as hard links), the view that Windows has of a layer through its filter. A hidden store
//! beside it ([`layer`]) holds everything that a plain file cannot.
//!
//! | variable | meaning |
//! |---|---|
//! | `WCLAYER_STANDIN_LOG` | a file that receives a line of JSON for every call |
//! | `WCLAYER_STANDIN_FAIL` | `Function:n:hresult` (decimal, hexadecimal): its `n`th call fails |
//!
//! Without the feature `filter`, the DLL lacks `ImportLayerBegin` and the related calls, like old
//! builds. On systems other than Windows, the crate is empty.

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
