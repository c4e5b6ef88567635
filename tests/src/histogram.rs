//! A histogram as Prometheus' text format has it, and its quantiles as Prometheus reckons them.

use std::collections::BTreeMap;

/// How many observations were at most so large, by that bound, in the order of the bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram(Vec<(f64, u64)>);

impl Histogram {
    /// The histogram of this name and with these labels, written as `cluster="cpu"`; of several that have them, the sum.
    #[must_use]
    pub fn read(text: &str, name: &str, labels: &[&str]) -> Self {
        let mut bounds: BTreeMap<u64, (f64, u64)> = BTreeMap::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix("_bucket{")) else { continue };
            let Some((there, count)) = rest.split_once('}') else { continue };
            if !labels.iter().all(|label| there.split(',').any(|one| one == *label)) {
                continue;
            }
            let bound =
                there.split(',').find_map(|one| one.strip_prefix("le=\"")?.strip_suffix('"')?.parse::<f64>().ok());
            if let (Some(bound), Ok(count)) = (bound, count.trim().parse::<u64>()) {
                // Bits of numbers that are not negative are in the order of the numbers.
                bounds.entry(bound.to_bits()).or_insert((bound, 0)).1 += count;
            }
        }
        Self(bounds.into_values().collect())
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// The value that this share of the observations does not exceed; within a bucket as if they were spread evenly. Of
    /// those beyond the last bound, that bound.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.count();
        let rank = share * to_f64(all);
        let at = self.0.iter().position(|(_, count)| *count > 0 && to_f64(*count) >= rank)?;
        let (bound, upto) = self.0[at];
        let (low, before) = at.checked_sub(1).map_or((0.0, 0), |at| self.0[at]);
        if bound.is_infinite() {
            return Some(low);
        }
        Some(low + (bound - low) * (rank - to_f64(before)) / to_f64(upto - before))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of looks")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# TYPE took_seconds histogram
took_seconds_bucket{cluster="cpu",decision="Slots",le="0.01"} 50
took_seconds_bucket{cluster="cpu",decision="Slots",le="0.02"} 100
took_seconds_bucket{cluster="cpu",decision="Slots",le="+Inf"} 100
took_seconds_bucket{cluster="cpu",decision="Nodes",le="0.01"} 98
took_seconds_bucket{cluster="cpu",decision="Nodes",le="0.02"} 98
took_seconds_bucket{cluster="cpu",decision="Nodes",le="+Inf"} 100
took_seconds_count{cluster="cpu",decision="Nodes"} 100
"#;

    #[test]
    fn a_quantile_lies_within_its_bucket_as_prometheus_has_it() {
        let slots = Histogram::read(TEXT, "took_seconds", &[r#"decision="Slots""#]);
        assert_eq!((slots.count(), slots.quantile(0.5), slots.quantile(0.75)), (100, Some(0.01), Some(0.015)));
    }

    #[test]
    fn what_lies_beyond_the_last_bound_is_told_as_that_bound_and_what_was_never_observed_not_at_all() {
        let nodes = Histogram::read(TEXT, "took_seconds", &[r#"decision="Nodes""#]);
        assert_eq!(nodes.quantile(0.99), Some(0.02));
        let none = Histogram::read(TEXT, "took_seconds", &[r#"decision="Other""#]);
        assert_eq!((none.count(), none.quantile(0.99)), (0, None));
    }

    #[test]
    fn those_of_several_labels_are_added_up() {
        let both = Histogram::read(TEXT, "took_seconds", &[r#"cluster="cpu""#]);
        assert_eq!((both.count(), both.quantile(0.74)), (200, Some(0.01)));
    }
}
