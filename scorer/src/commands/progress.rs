//! Progress over sensors, on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing elsewhere; it spins until it is told how many sensors there are.
pub(super) fn bar(doing: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_message(doing);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// From now on the bar counts sensors.
pub(super) fn count_sensors(bar: &ProgressBar, sensors: u64) {
    bar.set_length(sensors);
    bar.set_message("");
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} sensors {elapsed} {msg}") {
        bar.set_style(style);
    }
}
