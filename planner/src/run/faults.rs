//! Runs that cannot have what they need: they end in bounded time all the same, and free what they hold.

use std::mem::discriminant;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::world::{Event, Faults, World, event};
use super::*;

/// Actions that may fail for ever. Those that only write the status are not among them: nothing can be told without.
const MAY_FAIL: [Action; 13] = [
    Action::AddFinalizer,
    Action::CreateRequest,
    Action::CreatePlan,
    Action::DeletePlan,
    Action::CreateJob { parallelism: 1 },
    Action::Raise { parallelism: 1 },
    Action::StopJob,
    Action::Checkpoint,
    Action::CreateArchive,
    Action::DeleteArchive,
    Action::DeleteJobs,
    Action::DeleteConfigMaps,
    Action::RemoveFinalizer,
];
const STEP: SignedDuration = SignedDuration::from_secs(30);

fn faults() -> impl Strategy<Value = Faults> {
    (prop::sample::subsequence(MAY_FAIL.to_vec(), 0..=MAY_FAIL.len()), any::<bool>())
        .prop_map(|(fail, refused)| Faults { actions: fail.iter().map(discriminant).collect(), refused })
}

fn failing(actions: &[Action]) -> Faults {
    Faults { actions: actions.iter().map(discriminant).collect(), refused: true }
}

/// A run whose Job runs: two of its four pods have started.
fn running() -> World {
    let mut world = World::new(false);
    for event in [
        Event::Reconcile(9),
        Event::Reconcile(9),
        Event::PlanAnswers(true),
        Event::Reconcile(9),
        Event::Slots(2),
        Event::Reconcile(9),
    ] {
        world.happen(&event);
    }
    assert!(world.view.living == 2, "{world:?}");
    world
}

/// Goes on until the run has ended, and gives how long that took.
fn until_ended(world: &mut World, pods_end: bool) -> SignedDuration {
    let start = world.view.now;
    for _ in 0..1_000 {
        if world.view.ended || world.released {
            return world.view.now.duration_since(start);
        }
        for event in [Event::Reconcile(99), Event::PlanAnswers(true), Event::ArchiveAnswers] {
            world.happen(&event);
        }
        if let Some(at) = world.pods.iter().position(|pod| pods_end && !pod.ended) {
            world.happen(&Event::PodEnds(at, true));
        }
        world.happen(&Event::Time(STEP.as_secs()));
    }
    panic!("the run never ends: {world:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_run_that_is_stopped_ends_in_bounded_time_whatever_fails(
        events in prop::collection::vec(
            prop_oneof![20 => event(), 1 => Just(Event::NamespaceDeleted), 1 => Just(Event::RequestDeleted)], 0..40),
        faults in faults(),
        archive_broken in any::<bool>(),
        pods_end in any::<bool>(),
        held in any::<bool>(),
        stop in prop_oneof![Just(None), Just(Some(Event::Delete)), Just(Some(Event::NamespaceDeleted))],
    ) {
        let mut world = World::new(archive_broken);
        world.view.finalizer = held;
        world.faults = faults;
        for event in events.iter().chain(&stop) {
            world.happen(event);
        }
        let (deleted, closing) = (world.view.deleted.is_some(), world.view.closing);
        let left = world.view.deadline.duration_since(world.view.now).max(SignedDuration::ZERO);
        let took = until_ended(&mut world, pods_end);
        let most = match () {
            () if closing => STEP,
            () if deleted => HOLD_DELETED + HOLD_STALLED,
            () => left + HOLD_UNARCHIVED * 2 + HOLD_STALLED,
        };
        prop_assert!(took <= most + STEP * 2, "{:#} are more than {:#}", took, most);
        prop_assert!(world.finishes == 1 || world.released);
    }

    #[test]
    fn a_deleted_run_is_let_go_even_where_its_children_cannot_be_deleted(pods_end in any::<bool>()) {
        let mut world = running();
        world.faults = failing(&[Action::DeleteJobs, Action::DeleteConfigMaps]);
        world.happen(&Event::Delete);
        until_ended(&mut world, pods_end);
        world.happen(&Event::Time(HOLD_DELETED.as_secs()));
        world.happen(&Event::Reconcile(9));
        prop_assert!(world.released);
    }
}

#[test]
fn a_deleted_run_is_stopped_at_once_though_its_checkpoint_cannot_be_written() {
    let mut world = running();
    world.faults = failing(&[Action::Checkpoint]);
    world.happen(&Event::PodEnds(0, true));
    world.happen(&Event::Delete);
    world.happen(&Event::Reconcile(9));
    assert!(world.view.job.unwrap().suspended.is_some());
}

#[test]
fn a_run_whose_checkpoint_was_never_written_ends_without_a_record_after_ten_minutes() {
    let mut world = running();
    world.faults = failing(&[Action::Checkpoint]);
    world.happen(&Event::Slots(4));
    let took = until_ended(&mut world, true);
    assert!(took >= HOLD_STALLED && took < HOLD_STALLED + SignedDuration::from_mins(5), "{took:#}");
    assert_eq!(world.view.archive, Helper::Absent);
}

#[test]
fn a_run_whose_checkpoint_became_too_large_is_archived_with_what_is_in_it() {
    let mut world = running();
    world.happen(&Event::PodEnds(0, true));
    world.happen(&Event::Reconcile(9));
    assert_eq!(world.view.folded, Some(1));
    world.faults = failing(&[Action::Checkpoint]);
    world.happen(&Event::Slots(4));
    until_ended(&mut world, true);
    assert_eq!((world.view.archive, world.view.unfolded), (Helper::Answered, 3));
}

#[test]
fn in_a_namespace_that_is_deleted_a_run_ends_at_the_next_look_and_its_finalizer_is_not_put_back() {
    for held in [true, false] {
        let mut world = running();
        world.view.finalizer = held;
        world.happen(&Event::NamespaceDeleted);
        assert_eq!(decide(&world.view), [Action::Finish(Finish::NotArchived)]);
        for _ in 0..3 {
            world.happen(&Event::Reconcile(9));
        }
        assert!(world.view.ended && !world.view.finalizer && world.view.jobs == 0, "{world:?}");
    }
}

#[test]
fn a_run_whose_job_is_refused_holds_its_slots_for_a_minute_only() {
    let mut world = World::new(false);
    world.faults = failing(&[Action::CreateJob { parallelism: 1 }]);
    world.happen(&Event::Slots(3));
    let took = until_ended(&mut world, true);
    assert!(took >= HOLD_REFUSED && took < HOLD_REFUSED * 4, "{took:#}");
    world.faults.refused = false;
    let mut disturbed = World::new(false);
    disturbed.faults = world.faults;
    disturbed.happen(&Event::Slots(3));
    let until_deadline = disturbed.view.deadline.duration_since(disturbed.view.now);
    assert!(until_ended(&mut disturbed, true) >= until_deadline, "a disturbance may pass");
}

#[test]
fn a_run_that_lost_its_frozen_request_is_stopped_and_ends() {
    let mut world = running();
    world.happen(&Event::RequestDeleted);
    assert_eq!(decide(&world.view), [Action::StopJob]);
    let took = until_ended(&mut world, true);
    assert!(took < SETTLE * 2, "{took:#}");
    let mut unreadable = running();
    unreadable.view.refused = true;
    assert_eq!(decide(&unreadable.view), [Action::StopJob]);
}
