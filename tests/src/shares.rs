//! Whether runs have fair shares of a pool, from when their pods came onto nodes and ended there.

/// A pod of a run came onto a node, or ended there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// In seconds, from whenever all are counted.
    pub at: f64,
    /// The run, by its number from 0.
    pub run: usize,
    pub begins: bool,
}

/// What goes on.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub runs: usize,
    /// Items of each run.
    pub items: u32,
    /// Pods that the nodes have room for.
    pub slots: u32,
    /// In seconds: how long it may take from a pod's end until the next one is on a node. So long, a slot that was freed is
    /// counted as its run's.
    pub turnover: f64,
}

/// What was seen of shares. They are fair when no run has more than one slot above its part, and none has had more than one
/// less for longer than a turnover. All times are in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// From the moment asked for until shares were fair.
    pub reached: Option<f64>,
    /// When the first run had all its items on nodes: until then all have work.
    pub until: f64,
    /// The part of the time from then until that in which they were fair.
    pub fair: f64,
    /// The part of the runs' time in which a run was within one slot of its part, turnovers not excused.
    pub within: f64,
    /// The most that a run was above its part, in slots, and below it, turnovers not excused.
    pub above: f64,
    pub below: f64,
    /// Slots in use, on average.
    pub in_use: f64,
}

/// Where a run stands.
#[derive(Clone, Copy)]
struct Run {
    has: u32,
    begun: u32,
    /// Since when it has been too far below its part.
    below: Option<f64>,
}

impl Setting {
    /// A run's part of the slots.
    #[must_use]
    pub fn part(&self) -> f64 {
        f64::from(self.slots) / f64::from(u32::try_from(self.runs).unwrap_or(u32::MAX))
    }

    /// How shares were from a moment on; the events are in order.
    #[must_use]
    pub fn judge(&self, events: &[Event], from: f64) -> Shares {
        let part = self.part();
        let mut runs = vec![Run { has: 0, begun: 0, below: Some(f64::NEG_INFINITY) }; self.runs];
        let mut seen = Shares::default();
        let (mut fair, mut within, mut used, mut since) = (0.0, 0.0, 0.0, 0.0);
        for (event, next) in events.iter().zip(events.iter().skip(1)) {
            let run = &mut runs[event.run];
            match event.begins {
                true => (run.has, run.begun) = (run.has + 1, run.begun + 1),
                false => run.has = run.has.saturating_sub(1),
            }
            run.below = (f64::from(run.has) < part - 1.0).then(|| run.below.unwrap_or(event.at));
            seen.until = event.at;
            if run.begun >= self.items {
                break;
            }
            seen.until = next.at;
            let (start, end) = (event.at.max(from), next.at);
            if end <= start {
                continue;
            }
            let above = runs.iter().any(|run| f64::from(run.has) > part + 1.0);
            let excused =
                runs.iter().filter_map(|run| run.below).fold(f64::INFINITY, |all, at| all.min(at + self.turnover));
            let fairly = if above { 0.0 } else { (excused.min(end) - start).max(0.0) };
            if seen.reached.is_none() && fairly > 0.0 {
                (seen.reached, since) = (Some(start - from), start);
            }
            if seen.reached.is_some() {
                let far = |run: &Run| f64::from(run.has) - part;
                let close = runs.iter().filter(|run| far(run).abs() <= 1.0).count();
                let seconds = end - start;
                fair += fairly;
                within += seconds * f64::from(u32::try_from(close).unwrap_or(u32::MAX));
                used += seconds * runs.iter().map(|run| f64::from(run.has)).sum::<f64>();
                seen.above = runs.iter().map(far).fold(seen.above, f64::max);
                seen.below = runs.iter().map(|run| -far(run)).fold(seen.below, f64::max);
            }
        }
        let all = seen.until - since;
        if seen.reached.is_some() && all > 0.0 {
            seen.fair = fair / all;
            seen.within = within / all / f64::from(u32::try_from(self.runs).unwrap_or(u32::MAX));
            seen.in_use = used / all;
        }
        seen
    }

    /// How many slots each run had at a moment.
    #[must_use]
    pub fn at(&self, events: &[Event], moment: f64) -> Vec<u32> {
        let mut has = vec![0_u32; self.runs];
        for event in events.iter().take_while(|event| event.at <= moment) {
            let run = &mut has[event.run];
            *run = if event.begins { *run + 1 } else { run.saturating_sub(1) };
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Setting = Setting { runs: 2, items: 100, slots: 8, turnover: 2.0 };

    fn event(at: f64, run: usize, begins: bool) -> Event {
        Event { at, run, begins }
    }

    /// The first run takes all eight slots at second 0 and gives four of them to the second one at second 10.
    fn handed_over() -> Vec<Event> {
        let mut events: Vec<Event> = (0..8).map(|_| event(0.0, 0, true)).collect();
        for _ in 0..4 {
            events.extend([event(10.0, 0, false), event(11.0, 1, true)]);
        }
        events.sort_by(|a, b| a.at.total_cmp(&b.at));
        events
    }

    #[test]
    fn shares_are_fair_once_the_run_that_came_first_has_given_its_slots() {
        let mut events = handed_over();
        events.push(event(50.0, 0, false));
        let seen = TWO.judge(&events, 4.0);
        assert_eq!((seen.reached, seen.fair, seen.above, seen.below), (Some(7.0), 1.0, 0.0, 0.0));
        assert_eq!(TWO.at(&events, 9.0), [8, 0]);
        assert_eq!(TWO.at(&events, 11.0), [4, 4]);
    }

    #[test]
    fn a_slot_that_is_freed_is_its_runs_until_the_turnover_is_over() {
        let mut events = handed_over();
        events.extend([event(20.0, 1, false), event(20.0, 1, false)]);
        events.extend([event(21.5, 1, true), event(21.5, 1, true), event(31.0, 0, false)]);
        let quick = TWO.judge(&events, 4.0);
        assert_eq!((quick.fair, quick.below), (1.0, 2.0));
        assert!(quick.within > 0.95 && quick.within < 1.0, "{quick:?}");
        let slow = Setting { turnover: 0.5, ..TWO }.judge(&events, 4.0);
        assert!((slow.fair - 0.95).abs() < 1e-9, "{slow:?}");
    }

    #[test]
    fn a_run_that_gets_more_than_its_part_and_one_is_unfair_at_once() {
        let mut events = handed_over();
        events.extend([event(20.0, 0, true), event(20.0, 0, true), event(30.0, 0, false), event(31.0, 0, false)]);
        let seen = TWO.judge(&events, 4.0);
        assert_eq!(seen.above, 2.0);
        assert!(seen.fair < 0.6, "{seen:?}");
    }

    #[test]
    fn once_a_run_has_all_its_items_on_nodes_nothing_is_held_against_the_others() {
        let mut events: Vec<Event> = (0..8).map(|at| event(f64::from(at), usize::from(at % 2 == 1), true)).collect();
        let few = Setting { items: 4, ..TWO };
        events.extend([event(20.0, 0, true), event(20.0, 0, true), event(30.0, 0, false)]);
        let seen = few.judge(&events, 0.0);
        assert_eq!((seen.until, seen.above), (6.0, 0.0));
    }

    #[test]
    fn without_a_moment_at_which_they_were_fair_none_is_told() {
        let greedy: Vec<Event> = (0..8).map(|at| event(f64::from(at), 0, true)).collect();
        assert_eq!(TWO.judge(&greedy, 0.0).reached, None);
    }
}
