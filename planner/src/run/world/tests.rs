//! Whatever happens in such a world.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_a_run_ends_once_with_one_job_and_leaves_nothing(
        events in prop::collection::vec(event(), 0..60),
        archive_broken in prop::bool::weighted(0.2),
    ) {
        let mut world = World::new(archive_broken);
        for event in &events {
            world.happen(event);
        }
        world.go_on();
        prop_assert!(world.jobs_made <= 1, "{} Jobs of items", world.jobs_made);
        prop_assert_eq!(world.finishes, 1);
    }
}

/// Runs that go well, with the operator killed after its n-th action and started again, for every n.
#[test]
fn a_kill_after_any_action_changes_nothing() {
    for kill in 0..40 {
        let mut world = World::new(false);
        let mut done = 0;
        while !world.released {
            world.sync();
            for action in decide(&world.view.clone()) {
                world.apply(action);
                done += 1;
                if done == kill {
                    break;
                }
            }
            for event in [Event::Slots(3), Event::PlanAnswers(true), Event::ArchiveAnswers, Event::Time(1)] {
                world.happen(&event);
            }
            if world.view.job.is_some_and(|job| job.finished.is_some()) {
                world.happen(&Event::Reckoned);
            }
            if let Some(at) = world.pods.iter().position(|p| !p.ended) {
                world.happen(&Event::PodEnds(at, true));
            }
        }
        assert_eq!((world.jobs_made, world.finishes), (1, 1), "killed after action {kill}");
    }
}

#[test]
fn a_deleted_run_whose_archive_cannot_start_is_let_go_after_ten_minutes() {
    let mut world = World::new(true);
    for event in
        [Event::Reconcile(9), Event::Reconcile(9), Event::PlanAnswers(true), Event::Reconcile(9), Event::Delete]
    {
        world.happen(&event);
    }
    let deleted = world.view.now;
    while !world.released {
        world.happen(&Event::Reconcile(9));
        world.happen(&Event::Time(5));
    }
    let held = world.view.now.duration_since(deleted);
    assert!(held >= HOLD_DELETED && held < HOLD_DELETED + SignedDuration::from_mins(1), "held for {held:#}");
}

#[test]
fn a_run_whose_job_somebody_deletes_is_archived_with_what_there_is_and_is_failed_for_that() {
    let mut world = World::new(false);
    for event in [Event::Reconcile(9), Event::Reconcile(9), Event::PlanAnswers(true), Event::Slots(2)] {
        world.happen(&event);
        world.happen(&Event::Reconcile(9));
    }
    world.happen(&Event::PodEnds(0, true));
    assert_eq!(stop(&world.view), None);
    world.happen(&Event::JobDeleted);
    assert_eq!(stopped(&world.view), Some(Stop::JobGone));
    let judged = verdict(Tally { total: 4, failed: 3 }, None, stopped(&world.view));
    assert_eq!((judged.complete, judged.reason), (false, "JobGone"));
    assert_eq!(judged.message, "1 of 4 sensors were scored before its Job was deleted");
    let reckoned = [Event::Reconcile(9), Event::Reckoned, Event::Reconcile(9)];
    for event in reckoned.into_iter().chain([Event::Reconcile(9), Event::ArchiveAnswers]) {
        world.happen(&event);
    }
    assert_eq!(decide(&world.view), [Action::Finish(Finish::Archived)]);
}

#[test]
fn a_replaced_run_ends_as_a_cancelled_one_and_says_why() {
    let mut world = World::new(false);
    world.view.replaced = true;
    assert_eq!(stop(&world.view), None, "not before it is cancelled");
    world.happen(&Event::Cancel);
    assert_eq!(stop(&world.view).map(Stop::reason), Some("Replaced"));
    world.go_on();
    assert_eq!(world.finishes, 1);
}
