//! What the end of a command means for its sensors.

use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::time::Duration;

use spec::report::exit;

use crate::problem::Problem;
use crate::process::{Ended, How, Program, Usage};
use crate::shown;

/// A shell tells the signal that ended its command by an exit code so much higher.
const SHELLS_SIGNAL: i32 = 128;
const SIGKILL: i32 = 9;
const LAST_SIGNAL: i32 = 31;
/// `exec` of something that is neither a program nor a script with a first line.
const ENOEXEC: i32 = 8;
/// The most characters of a line that the message begins with.
const FIRST: usize = 200;

/// What became of a command.
pub(super) enum Verdict {
    /// It did what it was asked for.
    Done {
        usage: Usage,
        /// It had been told to end.
        told: bool,
    },
    Failed {
        problem: Problem,
        exit_code: Option<i32>,
        usage: Option<Usage>,
    },
    /// It was told to end and has ended: another attempt scores its sensors.
    Stopped,
}

impl From<Problem> for Verdict {
    fn from(problem: Problem) -> Self {
        Self::Failed { problem, exit_code: None, usage: None }
    }
}

impl Verdict {
    /// In a few words, for the log.
    pub(super) fn told(&self) -> String {
        let (exit_code, usage) = match self {
            Self::Done { usage, .. } => (Some(0), Some(*usage)),
            Self::Failed { exit_code, usage, .. } => (*exit_code, *usage),
            Self::Stopped => return "running the command until it was stopped".to_owned(),
        };
        let mut told = "running the command".to_owned();
        // Writing to a String does not fail.
        if let Some(code) = exit_code {
            let _ = write!(told, ", exit code {code}");
        }
        if let Some(usage) = usage {
            let mebibytes = usage.peak_memory_bytes >> 20;
            let _ = write!(told, ", {:.3} s of processor time, {mebibytes} MiB at most", usage.cpu_seconds);
        }
        told
    }
}

/// What a command's end means.
pub(super) fn of(program: &Program, ended: io::Result<Ended>) -> Verdict {
    let Ended { how, told, usage, last_words } = match ended {
        Ok(ended) => ended,
        Err(error) => return not_started(program, &error).into(),
    };
    let exit_code = if let How::Exited(code) = how { Some(code) } else { None };
    match how {
        // What it has done in time counts.
        How::Exited(0) => return Verdict::Done { usage, told },
        _ if told => return Verdict::Stopped,
        _ => {}
    }
    let signal = match how {
        How::Killed(signal) => Some(signal),
        How::Exited(code) => Some(code - SHELLS_SIGNAL).filter(|signal| (1..=LAST_SIGNAL).contains(signal)),
    };
    let problem = match (how, signal) {
        (_, Some(signal)) => {
            let by = match how {
                How::Exited(_) => format!("{how}, as a shell tells {}", How::Killed(signal)),
                How::Killed(_) => how.to_string(),
            };
            let hint = match signal {
                SIGKILL => "; if that was for lack of memory, raise scorer.resources.limits.memory",
                _ => "",
            };
            Problem::again("CommandKilled", with(&format!("the command was killed ({by}){hint}"), &last_words))
        }
        (How::Exited(code), None) if code == i32::from(exit::RETRY) => Problem::again(
            "CommandRetry",
            with(&format!("the command asks to be run again (exit code {code})"), &last_words),
        ),
        _ => Problem::failed("CommandFailed", with(&format!("the command failed with {how}"), &last_words)),
    };
    Verdict::Failed { problem, exit_code, usage: Some(usage) }
}

/// What the end of a command means whose time was up.
pub(super) fn late(program: &Program, ended: io::Result<Ended>, limit: Duration) -> Verdict {
    match ended {
        Ok(Ended { how, told: true, usage, last_words }) => {
            let exit_code = if let How::Exited(code) = how { Some(code) } else { None };
            let what = format!(
                "the command was ended ({how}): it took longer than {} s (scorer.timeoutSeconds)",
                limit.as_secs()
            );
            let problem = Problem::failed("DeadlineExceeded", with(&what, &last_words));
            Verdict::Failed { problem, exit_code, usage: Some(usage) }
        }
        // It ended by itself at that moment.
        ended => of(program, ended),
    }
}

/// The last line first, which says most, where a message may be cut short.
fn with(what: &str, last_words: &str) -> String {
    let mut lines = last_words.lines();
    match (lines.next(), lines.next_back()) {
        (None, _) => format!("{what}; it printed nothing"),
        (Some(only), None) => format!("{what}: {only}"),
        (Some(_), Some(last)) => {
            let last: String = last.chars().take(FIRST).collect();
            format!("{what}: {last}\nThe last that it printed:\n{last_words}")
        }
    }
}

fn not_started(program: &Program, error: &io::Error) -> Problem {
    let name = program.words.first().map_or("", String::as_str);
    let shown = shown::on_one_line(name);
    let found = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory);
    if !found && error.raw_os_error() != Some(ENOEXEC) {
        let message = format!("scorer.command: {shown:?} cannot be started: {error}");
        let retry = error.kind() != ErrorKind::ArgumentListTooLong;
        return Problem { retry, ..Problem::failed("CommandNotStarted", message) };
    }
    let hint = match (name.contains('/'), error.kind()) {
        (_, ErrorKind::PermissionDenied) => "make it executable for everybody in the image (chmod a+rx)".to_owned(),
        (false, ErrorKind::NotFound) => {
            let path = std::env::var("PATH").unwrap_or_default();
            format!("it is in no folder of PATH ({path}); write its whole path, or put it into the image")
        }
        (true, ErrorKind::NotFound) => {
            "the image has no such file, or not the interpreter that its first line names".to_owned()
        }
        _ => "it is no program, and its first line names no interpreter".to_owned(),
    };
    Problem::failed("CommandNotFound", format!("scorer.command: {shown:?} cannot be started: {error}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(how: How, told: bool, last_words: &str) -> Verdict {
        let usage = Usage { cpu_seconds: 1.5, peak_memory_bytes: 3 << 20 };
        of(&Program::default(), Ok(Ended { how, told, usage, last_words: last_words.to_owned() }))
    }

    fn problem(verdict: Verdict) -> Problem {
        match verdict {
            Verdict::Failed { problem, .. } => problem,
            Verdict::Done { .. } | Verdict::Stopped => panic!("no problem"),
        }
    }

    #[test]
    fn a_failure_is_final_and_begins_with_what_says_most() {
        let problem = problem(verdict(How::Exited(1), false, "Traceback:\n  File x\nValueError: odd"));
        assert_eq!((problem.reason.as_str(), problem.retry), ("CommandFailed", false));
        let first = problem.message.lines().next().unwrap();
        assert_eq!(first, "the command failed with exit code 1: ValueError: odd");
        assert!(problem.message.ends_with("Traceback:\n  File x\nValueError: odd"));
    }

    #[test]
    fn what_was_killed_or_asks_for_it_is_run_again() {
        for (how, reason, words) in [
            (How::Killed(9), "CommandKilled", "(SIGKILL); if that was for lack of memory"),
            (How::Killed(11), "CommandKilled", "(SIGSEGV); it printed nothing"),
            (How::Exited(137), "CommandKilled", "(exit code 137, as a shell tells SIGKILL)"),
            (How::Exited(75), "CommandRetry", "(exit code 75)"),
        ] {
            let problem = problem(verdict(how, false, ""));
            assert_eq!((problem.reason.as_str(), problem.retry), (reason, true), "{how}");
            assert!(problem.message.contains(words), "{}", problem.message);
        }
        for code in [2, 64, 128, 160, 255] {
            assert_eq!(problem(verdict(How::Exited(code), false, "")).reason, "CommandFailed", "{code}");
        }
    }

    #[test]
    fn a_command_whose_time_was_up_has_failed_however_it_ended() {
        let usage = Usage { cpu_seconds: 1.5, peak_memory_bytes: 3 << 20 };
        for how in [How::Exited(0), How::Exited(1), How::Killed(9)] {
            let ended = |told| Ok(Ended { how, told, usage, last_words: "step 7".to_owned() });
            let problem = problem(late(&Program::default(), ended(true), Duration::from_secs(90)));
            assert_eq!((problem.reason.as_str(), problem.retry), ("DeadlineExceeded", false), "{how}");
            assert!(
                problem.message.ends_with("longer than 90 s (scorer.timeoutSeconds): step 7"),
                "{}",
                problem.message
            );
        }
        let by_itself = Ok(Ended { how: How::Exited(0), told: false, usage, last_words: String::new() });
        assert!(matches!(late(&Program::default(), by_itself, Duration::from_secs(90)), Verdict::Done { .. }));
    }

    #[test]
    fn what_is_done_in_time_counts_and_what_is_not_is_left_to_another_attempt() {
        assert!(matches!(verdict(How::Exited(0), true, ""), Verdict::Done { .. }));
        for how in [How::Exited(1), How::Exited(75), How::Killed(15)] {
            assert!(matches!(verdict(how, true, ""), Verdict::Stopped), "{how}");
        }
    }
}
