use std::future::pending;
use std::sync::Mutex;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::*;

/// Keeps what it hears; `on` is told of it.
#[derive(Default)]
struct Heard {
    all: Mutex<Vec<(Stream, Vec<u8>)>>,
    stop: Option<watch::Sender<bool>>,
}

impl Hear for Heard {
    async fn hear(&self, stream: Stream, bytes: &[u8]) {
        self.all.lock().unwrap().push((stream, bytes.to_vec()));
        // Told to stop once the program has said that it is ready.
        if let Some(stop) = &self.stop {
            let _ = stop.send(true);
        }
    }
}

impl Heard {
    fn text(&self, stream: Stream) -> String {
        let all = self.all.lock().unwrap();
        let bytes: Vec<u8> = all.iter().filter(|(s, _)| *s == stream).flat_map(|(_, bytes)| bytes.clone()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn sh(script: &str) -> Program {
    Program { words: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(), ..Program::default() }
}

const LONG: Duration = Duration::from_secs(600);

async fn ran(script: &str) -> (Ended, Heard) {
    let heard = Heard::default();
    let ended = run(&sh(script), &heard, LONG, pending()).await.unwrap();
    (ended, heard)
}

/// Told to stop at the first word.
async fn stopped(script: &str, grace: Duration) -> (Ended, Heard) {
    let (send, mut stop) = watch::channel(false);
    let heard = Heard { stop: Some(send), ..Heard::default() };
    let ended = run(&sh(script), &heard, grace, crate::stop::stopped(&mut stop)).await.unwrap();
    (ended, heard)
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn both_streams_are_heard_and_the_end_is_known() {
    let (ended, heard) = ran("echo out; echo err >&2; exit 3").await;
    assert_eq!((ended.how, ended.told, ended.last_words.as_str()), (How::Exited(3), false, "err"));
    assert_eq!((heard.text(Stream::Stdout).as_str(), heard.text(Stream::Stderr).as_str()), ("out\n", "err\n"));
    assert!(ended.usage.peak_memory_bytes > 100_000, "{:?}", ended.usage);
    let (ended, _) = ran("echo only out; kill -9 $$").await;
    assert_eq!((ended.how, ended.last_words.as_str()), (How::Killed(9), "only out"));
}

#[tokio::test]
async fn processor_time_is_that_of_the_program_and_of_its_children() {
    let (ended, _) = ran("n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done").await;
    assert!(ended.usage.cpu_seconds > 0.001, "{:?}", ended.usage);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_and_nothing_waits() {
    let program = Program { words: vec!["/no/such/program".to_owned()], ..Program::default() };
    let error = run(&program, &Heard::default(), LONG, pending()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn the_whole_group_is_told_to_stop_and_has_time_to() {
    // The shell waits for its child, which gets the signal too.
    let (ended, heard) = stopped("trap 'echo told; exit 0' TERM; echo ready; sleep 1000 & wait; wait", LONG).await;
    assert_eq!((ended.how, ended.told), (How::Exited(0), true));
    assert_eq!(heard.text(Stream::Stdout), "ready\ntold\n");
}

#[tokio::test]
async fn who_does_not_stop_in_time_is_killed_with_all_its_group() {
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait";
    let (ended, heard) = stopped(script, Duration::from_millis(1)).await;
    assert_eq!((ended.how, ended.told), (How::Killed(9), true));
    assert!(!is_alive(&heard.text(Stream::Stdout)));
}

#[tokio::test]
async fn what_is_left_running_in_the_group_is_killed_and_holds_nobody_up() {
    let (ended, heard) = ran("sleep 1000 & echo $!").await;
    assert_eq!(ended.how, How::Exited(0));
    let pid = heard.text(Stream::Stdout);
    // It is dead, or dying.
    while is_alive(&pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_left_the_group_and_holds_the_pipe_holds_nobody_up() {
    let (ended, heard) = ran("setsid sleep 1000 & echo $!; exec sleep 0").await;
    assert_eq!(ended.how, How::Exited(0));
    let pid = heard.text(Stream::Stdout).trim().parse().unwrap();
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[tokio::test]
async fn a_waiting_that_is_given_up_kills_the_program() {
    let (send, _) = watch::channel(false);
    let heard = Heard { stop: Some(send.clone()), ..Heard::default() };
    let mut said = send.subscribe();
    let program = sh("echo $$; exec sleep 1000");
    tokio::select! {
        _ = run(&program, &heard, LONG, pending()) => unreachable!("it ended"),
        _ = said.wait_for(|said| *said) => {}
    }
    let pid = heard.text(Stream::Stdout);
    while is_alive(&pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_flood_without_a_line_end_is_heard_to_its_end() {
    let (ended, heard) = ran("head -c 3000000 /dev/zero; printf 'the end' >&2").await;
    let bytes: usize = heard.all.lock().unwrap().iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!((bytes, ended.last_words.as_str()), (3_000_007, "the end"));
}

/// Takes what it hears, the program's id, and then nothing more.
#[derive(Default)]
struct Stuck(Mutex<Option<String>>);

impl Hear for Stuck {
    async fn hear(&self, _: Stream, bytes: &[u8]) {
        *self.0.lock().unwrap() = Some(String::from_utf8_lossy(bytes).into_owned());
        pending::<()>().await;
    }
}

#[tokio::test]
async fn a_program_that_has_ended_is_not_waited_for_where_nobody_takes_its_words_and_it_is_to_stop() {
    let stuck = Stuck::default();
    let stop = async {
        while stuck.0.lock().unwrap().as_deref().is_none_or(is_alive) {
            tokio::task::yield_now().await;
        }
    };
    let ended = run(&sh("echo $$; exit 3"), &stuck, LONG, stop).await.unwrap();
    assert_eq!((ended.how, ended.last_words.as_str()), (How::Exited(3), ""));
}
