//! What stands until it has struck often enough, its time is over, or it is cleared.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::span::Span;

/// An order, and what is left of it.
#[derive(Debug, Clone)]
pub(in super::super) struct Standing<T> {
    pub(in super::super) order: T,
    /// How often it still strikes; None: as long as it stands.
    left: Option<u32>,
    /// When it ends by itself.
    pub(in super::super) until: Option<Timestamp>,
}

impl<T> Standing<T> {
    pub(in super::super) fn new(order: T, left: Option<u32>, lasts: Option<Span>, now: Timestamp) -> Self {
        Self { order, left, until: lasts.map(|span| span.after(now)) }
    }

    pub(in super::super) fn stands(&self, now: Timestamp) -> bool {
        self.left != Some(0) && self.until.is_none_or(|until| now < until)
    }
}

impl<T: Serialize> Standing<T> {
    /// The order with what is left of it, for those who ask what stands.
    pub(in super::super) fn show(&self, now: Timestamp) -> Value {
        let mut shown = json!(self.order);
        if let Some(left) = self.left {
            shown["count"] = json!(left);
        }
        if let (Some(until), Some(map)) = (self.until, shown.as_object_mut()) {
            map.remove("seconds");
            map.insert("secondsLeft".to_owned(), json!(Span::until(until, now)));
        }
        shown
    }
}

/// The first that stands and fits, used up once.
pub(in super::super) fn take<T: Clone>(
    list: &mut Vec<Standing<T>>,
    now: Timestamp,
    fits: impl Fn(&T) -> bool,
) -> Option<T> {
    list.retain(|one| one.stands(now));
    let at = list.iter().position(|one| fits(&one.order))?;
    let found = &mut list[at];
    found.left = found.left.map(|left| left.saturating_sub(1));
    let order = found.order.clone();
    list.retain(|one| one.stands(now));
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn it_strikes_so_many_times_what_it_fits() {
        let mut list = vec![Standing::new("a", Some(2), None, at(0)), Standing::new("b", None, None, at(0))];
        assert_eq!(take(&mut list, at(0), |one| *one == "c"), None);
        for _ in 0..2 {
            assert_eq!(take(&mut list, at(1), |one| *one == "a"), Some("a"));
        }
        assert_eq!(take(&mut list, at(1), |one| *one == "a"), None);
        for _ in 0..5 {
            assert_eq!(take(&mut list, at(9), |_| true), Some("b"), "until cleared");
        }
    }

    #[test]
    fn or_until_its_time_is_over() {
        let mut list = vec![Standing::new("a", None, Some(Span::seconds(10)), at(0))];

        assert_eq!(take(&mut list, at(9), |_| true), Some("a"));
        assert_eq!(take(&mut list, at(10), |_| true), None);
        assert!(list.is_empty());
    }
}
