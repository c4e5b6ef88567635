//! A ScoringSchedule as people write it.

use jiff::Timestamp;
use scorer::manifest::Schedule;
use spec::RunRequest;

/// A text is refused, or gives a request that reads back the same from where pods find it.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let schedule = match Schedule::parse("schedule.yaml", text) {
        Ok(schedule) => schedule,
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with("schedule.yaml"), "{message}");
            return;
        }
    };
    let _ = (schedule.retries(), schedule.tolerates(1, 10));
    let Ok(request) = schedule.request(Timestamp::UNIX_EPOCH, "uid".to_owned(), None) else { return };
    let json = serde_json::to_string(&request).expect("it serialises");
    assert_eq!(serde_json::from_str::<RunRequest>(&json).expect("what was written is read"), request);
    if request.work.check().is_ok() {
        let keys = request.work.model.path.keys();
        assert!(!keys.is_empty() || request.work.sensors.is_some());
    }
}
