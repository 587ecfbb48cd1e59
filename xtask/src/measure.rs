//! Runs a command and measures its time and memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// The interval between samples of a running command's memory. The kernel keeps the peak, so only
/// growth after the last sample is missed.
const POLL: Duration = Duration::from_millis(4);

/// The cost of one run of a command.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Wall time.
    pub(crate) seconds: f64,
    /// Processor time of the program and of the system on its behalf, if available.
    pub(crate) processor: Option<f64>,
    /// Peak resident memory in bytes, if available.
    pub(crate) peak: Option<u64>,
}

/// Runs a command to its end; the time includes flushing the file that it wrote.
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
/// Source: Linux, proc(5), `/proc/PID/stat`: `cutime` and `cstime` are fields 16 and 17, in
/// hundredths; the second field is in parentheses and may contain anything.
fn processor_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(13);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

/// Reads the peak of the resident set from a process's status on Linux, in bytes.
fn peak_memory(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Returns the median; `None` if there are no values.
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
    fn the_median_of_an_even_count_is_between_the_middle_two() {
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
