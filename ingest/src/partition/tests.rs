use proptest::prelude::*;

use super::*;
use crate::config::{Aggregate, Over};

mod model;

const SECOND: Micros = 1_000_000;

fn rules() -> Rules {
    Rules {
        length: 5 * SECOND,
        every: 10 * SECOND,
        lateness: 4 * SECOND,
        max_ahead: 30 * SECOND,
        idle_after: 6 * SECOND,
        aggregates: vec![Aggregate::Count, Aggregate::Sum],
        drops_duplicates: false,
        over: Over::Partition,
    }
}

fn partition() -> Partition {
    Partition::resume(Arc::new(rules()), Mark::default(), 0)
}

fn event(seconds: i64) -> Event<'static> {
    Event { sensor: b"a", time: seconds * SECOND, value: 1.0 }
}

/// A record with one event, which the broker got at the event's time.
fn read(partition: &mut Partition, offset: i64, seconds: i64) -> Verdict {
    partition.begin(offset);
    let verdict = partition.event(offset, Some(seconds * SECOND), &event(seconds));
    partition.end(offset);
    verdict
}

#[test]
fn an_event_is_late_once_the_watermark_has_reached_its_windows_end() {
    let mut partition = partition();
    assert_eq!(read(&mut partition, 0, 1), Verdict::Counted);
    assert_eq!(read(&mut partition, 1, 8), Verdict::Counted);
    assert_eq!(read(&mut partition, 2, 4), Verdict::Counted, "the watermark is at 4 s");
    assert_eq!(read(&mut partition, 3, 9), Verdict::Counted);
    assert_eq!(read(&mut partition, 4, 4), Verdict::Late { watermark: 5 * SECOND });
    assert_eq!(read(&mut partition, 5, 5), Verdict::Counted);
}

#[test]
fn an_event_far_ahead_of_the_brokers_clock_moves_no_watermark() {
    let mut partition = partition();
    let stamp = Some(0);
    partition.begin(0);
    assert_eq!(partition.event(0, stamp, &event(31)), Verdict::Future { stamp });
    assert_eq!(partition.event(0, None, &event(1)), Verdict::Future { stamp: None });
    assert_eq!(partition.watermark(), None);
    assert_eq!(partition.event(0, stamp, &event(30)), Verdict::Counted);
}

#[test]
fn a_slice_is_taken_whole_once_the_watermark_has_reached_its_end() {
    let mut partition = partition();
    for (offset, seconds) in [(0, 1), (1, 6), (2, 13)] {
        read(&mut partition, offset, seconds);
        assert!(partition.take().slices.is_empty(), "its watermark alone is told");
    }
    read(&mut partition, 3, 14);
    assert!(partition.closes());
    let taken = partition.take();
    assert_eq!(taken.slices.len(), 1);
    let slice = taken.slices[0].clone().finish(&rules().aggregates);
    let rows: Vec<_> = slice.rows.iter().map(|row| (row.start / SECOND, row.values.to_vec())).collect();
    assert_eq!(rows, [(0, vec![1.0, 1.0]), (5, vec![1.0, 1.0])]);
    let Mark { offset, watermark, durable, side, jumps, .. } = taken.mark;
    assert_eq!((offset, watermark, durable, side), (2, Some(2 * SECOND), Some(10 * SECOND), 4));
    assert!(jumps.is_empty() && !partition.closes());
}

#[test]
fn what_is_durable_is_not_counted_again_by_a_replay() {
    let mut first = partition();
    for (offset, seconds) in [(0, 1), (1, 11), (2, 9), (3, 14)] {
        read(&mut first, offset, seconds);
    }
    let taken = first.take();
    assert_eq!(taken.slices[0].rows.len(), 2);
    assert_eq!(taken.mark.offset, 1);
    let mut again = Partition::resume(Arc::new(rules()), taken.mark, 4);
    assert_eq!(read(&mut again, 1, 11), Verdict::Counted);
    assert_eq!(read(&mut again, 2, 9), Verdict::Durable);
    assert_eq!(read(&mut again, 3, 14), Verdict::Counted);
    assert!(!again.closes());
}

#[test]
fn a_silent_partition_goes_on_with_the_clock_from_the_end_of_what_it_may_be_silent() {
    let mut partition = partition();
    read(&mut partition, 0, 9);
    assert_eq!(partition.watermark(), Some(5 * SECOND));
    assert_eq!(partition.after_silence(10 * SECOND), None, "5 s and 4 s of silence beyond 6 s");
    assert_eq!(partition.after_silence(11 * SECOND), Some(10 * SECOND));
    let mark = partition.jump(10 * SECOND, true);
    assert_eq!(
        (mark.offset, mark.durable, mark.jumps.clone()),
        (0, None, vec![Jump(1, 10 * SECOND)]),
        "a replay is to do the same"
    );
    partition.mark(mark);
    let taken = partition.take();
    assert_eq!((taken.slices.len(), taken.mark.offset, taken.mark.jumps.len()), (1, 1, 0));
    partition.mark(taken.mark);
    assert_eq!(partition.after_silence(20 * SECOND), None);
    assert_eq!(partition.after_silence(21 * SECOND), Some(20 * SECOND));
    let mark = partition.jump(20 * SECOND, true);
    assert_eq!(
        (mark.offset, mark.durable, mark.jumps.len()),
        (1, Some(20 * SECOND), 0),
        "with nothing open one mark is enough"
    );
}

#[test]
fn a_partition_that_never_had_an_event_follows_the_others() {
    let mut partition = partition();
    assert_eq!(partition.after_silence(1_000 * SECOND), None);
    assert_eq!(partition.after_others(15 * SECOND, 0), Some(10 * SECOND));
    let mark = partition.jump(10 * SECOND, true);
    assert_eq!(mark.durable, Some(10 * SECOND));
    partition.mark(mark);
    assert_eq!(partition.after_others(19 * SECOND, 0), None);
    assert_eq!(partition.after_others(20 * SECOND, 0), Some(20 * SECOND));
    assert_eq!(read(&mut partition, 0, 9), Verdict::Late { watermark: 10 * SECOND });
}

#[test]
fn for_lack_of_memory_the_oldest_slice_closes_early() {
    let mut partition = partition();
    read(&mut partition, 0, 1);
    read(&mut partition, 1, 12);
    let to = partition.after_oldest().unwrap();
    assert_eq!(to, 10 * SECOND);
    let mark = partition.jump(to, true);
    partition.mark(mark);
    assert_eq!(partition.take().slices.len(), 1);
    assert_eq!(read(&mut partition, 2, 2), Verdict::Late { watermark: 10 * SECOND });
}

#[test]
fn where_an_earlier_life_may_have_been_no_window_closes_early() {
    let mut partition = Partition::resume(Arc::new(rules()), Mark::default(), 2);
    read(&mut partition, 0, 1);
    assert_eq!(partition.after_oldest(), None);
    read(&mut partition, 1, 2);
    assert_eq!(partition.after_oldest(), Some(10 * SECOND));
}

#[test]
fn jumps_that_a_mark_has_no_room_for_are_not_made() {
    let mut partition = partition();
    read(&mut partition, 0, 1);
    partition.mark(Mark { jumps: vec![Jump(9, 9); MOST_JUMPS], ..Mark::default() });
    let mut full = Partition::resume(Arc::new(rules()), partition.marked().clone(), 0);
    read(&mut full, 0, 1);
    assert_eq!((full.after_oldest(), full.after_silence(1_000 * SECOND)), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever dies when, and whenever the watermark goes on by itself: files and dead letters are those of one pass over the
    /// whole log, with the jumps that were written down.
    #[test]
    fn any_lives_leave_what_one_pass_over_the_log_would(seed: u64, drops_duplicates: bool) {
        model::live(seed, Rules { drops_duplicates, ..rules() })?;
    }
}
