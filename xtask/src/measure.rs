//! Running a command with a clock and an eye on its memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How often the memory of a running command is looked at: its peak is a mark that the kernel
/// keeps, so only what it grows in the last such moment is missed.
const POLL: Duration = Duration::from_millis(4);

/// What one run of a command took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Wall time.
    pub(crate) seconds: f64,
    /// Time of processors, of the program and the system for it, where the system tells.
    pub(crate) processor: Option<f64>,
    /// Peak of the resident memory in bytes, where the system tells.
    pub(crate) peak: Option<u64>,
}

/// Runs a command to its end and, as part of the time, flushes a file that it wrote to the disk.
pub(crate) fn run(command: &mut Command, flush: Option<&Path>) -> Result<Cost> {
    let before = processor_time();
    let start = Instant::now();
    let mut child = command.spawn()?;
    let status = Path::new("/proc")
        .join(child.id().to_string())
        .join("status");
    let (ended, wait) = channel::<()>();
    let watcher = thread::spawn(move || {
        let mut peak = None;
        while wait.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
            peak = peak_memory(&status).max(peak);
        }
        peak
    });
    let exit = child.wait()?;
    if let Some(path) = flush {
        File::open(path)?.sync_all()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(ended);
    if !exit.success() {
        return Err(format!("{command:?} failed: {exit}").into());
    }
    let peak = watcher.join().map_err(|_| "the watching thread panicked")?;
    let after = processor_time();
    Ok(Cost {
        seconds,
        processor: after.zip(before).map(|(after, before)| after - before),
        peak,
    })
}

/// Reads the processor time of all commands that have ended, in seconds.
///
/// Source: Linux, proc(5), `/proc/PID/stat`: `cutime` and `cstime` are the fields 16 and 17, in
/// hundredths; the second field is in brackets and may hold anything.
fn processor_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(13);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

/// Reads the mark of the largest resident set from a process's status on Linux, in bytes.
fn peak_memory(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Returns the middle one of the values; `None` of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (
        values.get(values.len().saturating_sub(1) / 2)?,
        values.get(values.len() / 2)?,
    );
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        for (values, expected) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![4.0, 1.0], Some(2.5)),
            (vec![9.0, 1.0, 2.0], Some(2.0)),
            (vec![9.0, 1.0, 2.0, 3.0], Some(2.5)),
        ] {
            assert_eq!(median(values), expected);
        }
    }
}
