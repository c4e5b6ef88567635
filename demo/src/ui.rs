//! What the user sees: a live view on a terminal, plain lines with times anywhere else.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

/// Without a terminal, what a slow stage is doing is told no more often than this, and only when it is news.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// How long a stage took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StageTime {
    pub(crate) stage: String,
    pub(crate) seconds: f64,
}

/// The screen. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ui {
    began: Instant,
    live: Option<MultiProgress>,
    times: Arc<Mutex<Vec<StageTime>>>,
}

/// One stage of the demo, from when it is made until it is done. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stage {
    ui: Ui,
    name: String,
    began: Instant,
    bar: ProgressBar,
    noted: Arc<Mutex<(Instant, String)>>,
}

impl Ui {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self { began: Instant::now(), live: terminal.then(MultiProgress::new), times: Arc::default() }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.live {
            Some(live) => drop(live.println(text)),
            None => println!("[{:6.1}s] {text}", self.began.elapsed().as_secs_f64()),
        }
    }

    /// A stage begins.
    pub(crate) fn stage(&self, name: &str) -> Stage {
        let bar = self.live.as_ref().map_or_else(ProgressBar::hidden, |live| live.add(ProgressBar::new_spinner()));
        bar.set_style(style("{spinner:.cyan} {prefix:.bold} {elapsed:>4} {wide_msg:.dim}"));
        bar.set_prefix(format!("{name:<23}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        if self.live.is_none() {
            self.line(&format!("{name} …"));
        }
        let noted = Arc::new(Mutex::new((Instant::now(), String::new())));
        Stage { ui: self.clone(), name: name.to_owned(), began: Instant::now(), bar, noted }
    }

    /// How long each stage took that is done.
    pub(crate) fn times(&self) -> Vec<StageTime> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A template that does not parse costs looks, not the demo.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).progress_chars("━━─")
}

impl Stage {
    /// What the stage is doing; soon replaced by the next note.
    pub(crate) fn note(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if self.ui.live.is_none() {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.0.elapsed() >= NOTE_EVERY && noted.1 != text {
                *noted = (Instant::now(), text.to_owned());
                self.ui.line(&format!("  {}: {text}", self.name));
            }
        }
    }

    /// Something that happened, and stays on the screen.
    pub(crate) fn event(&self, text: &str) {
        match &self.ui.live {
            Some(_) => self.ui.line(&format!("  {} {text}", clock(self.ui.began.elapsed()))),
            None => self.ui.line(&format!("  {text}")),
        }
    }

    /// How far a counted stage is: a bar on a terminal.
    pub(crate) fn progress(&self, done: u64, of: u64, text: &str) {
        if self.bar.length() != Some(of) {
            self.bar.set_length(of);
            self.bar.set_style(style(
                "{spinner:.cyan} {prefix:.bold} {elapsed:>4} {bar:16.green} {pos}/{len} {wide_msg:.dim}",
            ));
        }
        self.bar.set_position(done);
        self.note(text);
    }

    /// The stage is done; `text` says with what.
    pub(crate) fn done(&self, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.bar.finish_and_clear();
        let time = StageTime { stage: self.name.clone(), seconds };
        self.ui.times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
        let mark = if self.ui.live.is_some() { "✔ " } else { "" };
        self.ui.line(&format!("{mark}{:<23} {seconds:6.1}s  {text}", self.name));
    }
}

fn clock(elapsed: Duration) -> String {
    format!("{}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}
