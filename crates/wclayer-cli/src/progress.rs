//! The progress bar, which also passes Ctrl-C on to the library.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use wclayer::Progress;

use crate::output::Output;

const KNOWN_TOTAL: &str =
    "{wide_bar} {percent:>3}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left{entries}";
const UNKNOWN_TOTAL: &str = "{spinner} {bytes}  {bytes_per_sec}  {elapsed}{entries}";
/// How often the bar is redrawn while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Receives the library's progress and answers whether to stop. Draws a bar on stderr if that is a
/// terminal and the caller did not choose --quiet; dropping the value removes the bar.
pub(crate) struct Bar {
    bar: ProgressBar,
    entries: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
    ticker: Option<Ticker>,
}

/// A thread that redraws a visible bar while nothing happens. The one that indicatif starts would
/// end the program if the system refused the thread.
struct Ticker(JoinHandle<()>, Arc<AtomicBool>);

impl Ticker {
    /// Returns `None` without a thread: the bar then moves only with the work.
    fn start(bar: &ProgressBar) -> Option<Self> {
        if bar.is_hidden() {
            return None;
        }
        let (bar, stop) = (bar.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let tick = move || {
            while !stopped.load(Ordering::Relaxed) {
                bar.tick();
                thread::park_timeout(TICK);
            }
        };
        let thread = thread::Builder::new().spawn(tick).ok()?;
        Some(Self(thread, stop))
    }

    fn stop(self) {
        self.1.store(true, Ordering::Relaxed);
        self.0.thread().unpark();
        // A failure to draw the bar must not fail the command.
        let _ = self.0.join();
    }
}

impl Bar {
    /// Starts a bar for `total` bytes, if known. The work stops once `cancelled` is set.
    pub(crate) fn start(output: &Output, total: Option<u64>, cancelled: Arc<AtomicBool>) -> Self {
        let target = match output.is_quiet() {
            true => ProgressDrawTarget::hidden(),
            // Hidden if stderr is not a terminal.
            false => ProgressDrawTarget::stderr(),
        };
        Self::on(target, total, cancelled)
    }

    /// Draws nothing, for results that are printed during the work; the work still stops once
    /// `cancelled` is set.
    pub(crate) fn hidden(cancelled: Arc<AtomicBool>) -> Self {
        Self::on(ProgressDrawTarget::hidden(), None, cancelled)
    }

    fn on(target: ProgressDrawTarget, total: Option<u64>, cancelled: Arc<AtomicBool>) -> Self {
        let entries = Arc::new(AtomicU64::new(0));
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(style(total.is_some(), &entries));
        Self {
            ticker: Ticker::start(&bar),
            bar,
            entries,
            cancelled,
        }
    }

    /// Removes the bar from the terminal before other output.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(ticker) = self.ticker.take() {
            ticker.stop();
        }
        self.clear();
    }
}

fn style(total_is_known: bool, entries: &Arc<AtomicU64>) -> ProgressStyle {
    let template = if total_is_known {
        KNOWN_TOTAL
    } else {
        UNKNOWN_TOTAL
    };
    let entries = Arc::clone(entries);
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key(
            "entries",
            move |_: &ProgressState, f: &mut dyn std::fmt::Write| {
                // An export does not count entries.
                let _ = match entries.load(Ordering::Relaxed) {
                    0 => Ok(()),
                    count => write!(f, "  {count} entries"),
                };
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [KNOWN_TOTAL, UNKNOWN_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
