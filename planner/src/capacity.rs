//! Resources of nodes and pods.

use std::collections::BTreeMap;

/// The resource of which every pod takes one.
pub const PODS: &str = "pods";

/// Resources that every node has: where a capacity does not name them, they are not what limits.
const ORDINARY: [&str; 4] = ["cpu", "memory", "ephemeral-storage", PODS];

/// Amounts by resource name, in thousandths (milli-cores, milli-bytes, …), so that all of them are whole numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resources(BTreeMap<String, u128>);

/// Why a text is not an amount of a resource.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{resource}: {text:?} is not a quantity; write a number with a unit, such as 250m, 2, 128Mi or 1.5G")]
pub struct QuantityError {
    /// The resource.
    pub resource: String,
    /// What was written.
    pub text: String,
}

impl Resources {
    /// From the notation of Kubernetes (`250m`, `128Mi`).
    ///
    /// # Errors
    /// When an amount is not a quantity.
    pub fn parse<'a>(amounts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, QuantityError> {
        let read = |(name, text): (&str, &str)| {
            let wrong = || QuantityError { resource: name.to_owned(), text: text.to_owned() };
            Ok((name.to_owned(), milli(text).ok_or_else(wrong)?))
        };
        amounts.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// In the notation of Kubernetes: whole numbers where they are whole, else with the suffix `m`.
    #[must_use]
    pub fn to_quantities(&self) -> BTreeMap<String, String> {
        let text =
            |milli: u128| if milli.is_multiple_of(1000) { (milli / 1000).to_string() } else { format!("{milli}m") };
        self.0.iter().map(|(name, milli)| (name.clone(), text(*milli))).collect()
    }

    /// True when nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amount of a resource in thousandths, if it is named.
    #[must_use]
    pub fn milli(&self, name: &str) -> Option<u128> {
        self.0.get(name).copied()
    }

    /// These amounts, with those of `over` in the place of equally named ones.
    #[must_use]
    pub fn overlaid(mut self, over: &Self) -> Self {
        self.0.extend(over.0.iter().map(|(name, amount)| (name.clone(), *amount)));
        self
    }

    /// These and those, each name summed.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
        self
    }

    /// The larger of these and those, name by name.
    #[must_use]
    pub fn max(mut self, other: &Self) -> Self {
        for (name, amount) in &other.0 {
            let most = self.0.entry(name.clone()).or_default();
            *most = (*most).max(*amount);
        }
        self
    }

    /// What is left of these without `used`; nothing where more is used than there is.
    #[must_use]
    pub fn less(mut self, used: &Self) -> Self {
        for (name, amount) in &mut self.0 {
            *amount = amount.saturating_sub(used.0.get(name).copied().unwrap_or_default());
        }
        self
    }

    /// These amounts, none larger than `most` says where it names it.
    #[must_use]
    pub fn at_most(mut self, most: &Self) -> Self {
        for (name, amount) in &mut self.0 {
            *amount = most.0.get(name).map_or(*amount, |most| (*amount).min(*most));
        }
        self
    }

    /// How many pods that ask for `request` fit in here.
    #[must_use]
    pub fn fits(&self, request: &Self) -> u32 {
        let most = request.of_a_pod().map(|(name, amount)| match self.free(name) {
            Some(free) => free / amount,
            None => u128::MAX,
        });
        u32::try_from(most.min().unwrap_or(u128::MAX)).unwrap_or(u32::MAX)
    }

    /// From names and amounts in thousandths.
    pub(crate) fn of_amounts(amounts: impl IntoIterator<Item = (String, u128)>) -> Self {
        Self(amounts.into_iter().collect())
    }

    /// Each name with its amount, in thousandths.
    pub(crate) fn amounts(&self) -> impl Iterator<Item = (&str, u128)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// What one pod that asks for this takes, name by name: nothing that is none, and one of [`PODS`], whatever is asked.
    pub(crate) fn of_a_pod(&self) -> impl Iterator<Item = (&str, u128)> {
        self.amounts().filter(|(name, amount)| *name != PODS && *amount > 0).chain([(PODS, 1000)])
    }

    /// How much there is for pods; `None`: it does not limit them.
    pub(crate) fn free(&self, name: &str) -> Option<u128> {
        match self.0.get(name) {
            Some(amount) => Some(*amount),
            None if ORDINARY.contains(&name) => None,
            None => Some(0),
        }
    }
}

/// A quantity in thousandths, rounded up as Kubernetes does.
fn milli(text: &str) -> Option<u128> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || whole.len() > 18 {
        return None;
    }
    let value: u128 = format!("{whole}{fraction}").parse().ok()?;
    let tens = |power: i32| (10u128.pow(power.max(0).unsigned_abs()), 10u128.pow(power.min(0).unsigned_abs()));
    let (times, over) = match suffix {
        "n" => tens(-9),
        "u" => tens(-6),
        "m" => tens(-3),
        "" => tens(0),
        "k" => tens(3),
        "M" => tens(6),
        "G" => tens(9),
        "T" => tens(12),
        "P" => tens(15),
        "E" => tens(18),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => match suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()? {
            power @ -18..=18 => tens(power),
            _ => return None,
        },
    };
    let over = over * 10u128.pow(u32::try_from(fraction.len()).ok()?);
    value.checked_mul(1000)?.checked_mul(times).map(|milli| milli.div_ceil(over))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resources(amounts: &[(&str, &str)]) -> Resources {
        Resources::parse(amounts.iter().copied()).unwrap()
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let cases = [
            ("250m", 250),
            ("2", 2_000),
            ("1.5", 1_500),
            ("128Mi", 134_217_728_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("3E2", 300_000),
            ("100n", 1),
            (".5", 500),
            ("12e-3", 12),
        ];
        for (text, milli) in cases {
            assert_eq!(super::milli(text), Some(milli), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_its_resource() {
        for text in ["", "m", "-1", "1.2.3", "1Q", "1 Gi", "e3", "1e99"] {
            let error = Resources::parse([("memory", text)]).unwrap_err();
            assert_eq!(error.resource, "memory", "{text}");
        }
    }

    #[test]
    fn as_many_pods_fit_as_the_scarcest_resource_allows() {
        let node = resources(&[("cpu", "3800m"), ("memory", "12Gi"), ("pods", "30")]);
        assert_eq!(node.fits(&resources(&[("cpu", "250m"), ("memory", "128Mi")])), 15);
        assert_eq!(node.fits(&resources(&[("cpu", "1m")])), 30);
        assert_eq!(node.fits(&resources(&[("cpu", "4")])), 0);
    }

    #[test]
    fn a_limit_says_how_much_of_what_is_there_counts() {
        let node = resources(&[("cpu", "4"), ("memory", "8Gi")]);
        let most = resources(&[("cpu", "2"), ("memory", "16Gi"), ("nvidia.com/gpu", "1")]);
        assert_eq!(node.at_most(&most), resources(&[("cpu", "2"), ("memory", "8Gi")]));
    }

    #[test]
    fn a_gpu_is_only_where_it_is_named_but_memory_is_everywhere() {
        let node = resources(&[("cpu", "4")]);
        assert_eq!(node.fits(&resources(&[("cpu", "1"), ("memory", "1Gi")])), 4);
        assert_eq!(node.fits(&resources(&[("nvidia.com/gpu", "1")])), 0);
    }

    proptest! {
        #[test]
        fn an_amount_reads_back_as_written(milli in 0u128..10_000_000_000_000_000) {
            let amounts = Resources([("cpu".to_owned(), milli)].into());
            let texts = amounts.to_quantities();
            prop_assert_eq!(resources(&[("cpu", texts["cpu"].as_str())]), amounts);
        }
    }
}
