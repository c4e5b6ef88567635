//! A thousand hourly schedules need not start in the same second.

use jiff::SignedDuration;

/// How long after its ticks a schedule's runs start: from nothing up to, not including, `most`. It follows from the
/// schedule's name alone, so that it is the same for every tick and every process.
#[must_use]
pub fn jitter(namespace: &str, name: &str, most: SignedDuration) -> SignedDuration {
    let range = u64::try_from(most.as_millis()).unwrap_or(0);
    if range == 0 {
        return SignedDuration::ZERO;
    }
    // The high bits of the product are evenly spread, those of the remainder are not.
    let millis = (u128::from(hash(namespace, name)) * u128::from(range)) >> 64;
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(0))
}

/// FNV-1a, and a finish that spreads names that differ in their last character. The standard library's hash may change.
fn hash(namespace: &str, name: &str) -> u64 {
    let bytes = namespace.bytes().chain([b'/']).chain(name.bytes());
    let mut hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_always_has_the_same_jitter_below_the_most() {
        let hour = SignedDuration::from_hours(1);
        let found = jitter("plant", "hourly", hour);
        assert_eq!(found, jitter("plant", "hourly", hour));
        assert_eq!(found.as_millis(), 1_150_792, "it may never change: ticks would move");
        assert_ne!(found, jitter("planthourly", "", hour));
        assert_eq!(jitter("plant", "hourly", SignedDuration::ZERO), SignedDuration::ZERO);
        assert!(jitter("plant", "hourly", SignedDuration::from_millis(1)).is_zero());
    }

    #[test]
    fn a_thousand_schedules_are_spread_evenly() {
        let minute = SignedDuration::from_mins(1);
        let mut seconds = [0_u32; 60];
        for number in 0..1_000 {
            let after = jitter("plant", &format!("line-{number}"), minute);
            seconds[usize::try_from(after.as_secs()).unwrap()] += 1;
        }
        // 17 on average; as many as 40 in one of 60 seconds would come once in some 50,000 even draws.
        assert!(seconds.iter().all(|count| (2..40).contains(count)), "{seconds:?}");
    }
}
