//! [`Allocator`]: the system's allocator, with an error message where Rust would abort.
//!
//! The library allocates its large buffers fallibly (`wclayer::resources`). If any other allocation
//! fails, the program cannot continue: it prints an error and exits with code 1. Its unfinished output
//! remains, as after a kill, until the next command on the same path removes it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::Write;
use std::process;

use wclayer::resources;

use crate::errors::FAILED;

const MESSAGE: &[u8] = b"Error: the system refuses more memory
Hint: Close other programs, or raise the memory limit (`ulimit -v`).
";

/// The program's allocator.
pub(crate) struct Allocator;

// SAFETY: every call and every result is passed on unchanged to and from the system's allocator.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract, which is the same.
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

/// Ends the program without allocating.
#[cold]
fn end() -> ! {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned();
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&std::io::stderr()).try_clone_to_owned();
    if let Ok(own) = own {
        // Without stderr, the message is lost.
        let _ = File::from(own).write_all(MESSAGE);
    }
    process::exit(FAILED.into())
}
