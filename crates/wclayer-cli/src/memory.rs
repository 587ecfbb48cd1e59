//! [`Words`]: the system's allocator, with words where Rust would abort.
//!
//! Large buffers whose size depends on the work are asked for so that their lack is an error like any other
//! (`wclayer::resources`). Where anything else lacks memory, nothing can go on: the program says so
//! and ends with exit code 1. What it was making stays unfinished, as after a kill, and goes with the next
//! command at the same place.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::Write;
use std::process;

use wclayer::resources;

use crate::errors::FAILED;

const MESSAGE: &[u8] = b"Error: the system refuses more memory
Hint: End other programs, or raise the limit of memory (`ulimit -v`).
";

/// The program's allocator.
pub(crate) struct Words;

// SAFETY: every call is passed on to the system's allocator as it is, and so is every answer.
unsafe impl GlobalAlloc for Words {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        or_end(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        or_end(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        or_end(unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn or_end(block: *mut u8) -> *mut u8 {
    if block.is_null() && !resources::can_fail() {
        end();
    }
    block
}

/// Ends the program without asking for memory again.
#[cold]
fn end() -> ! {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned();
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&std::io::stderr()).try_clone_to_owned();
    if let Ok(own) = own {
        // Without stderr there is nobody to tell.
        let _ = File::from(own).write_all(MESSAGE);
    }
    process::exit(FAILED.into())
}
