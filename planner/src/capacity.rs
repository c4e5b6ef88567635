//! Resources of nodes and pods, and how pods fit onto nodes.

use std::collections::BTreeMap;

/// The resource of which every pod takes one.
pub const PODS: &str = "pods";

/// Resources that every node has: where a capacity does not name them, they are not what limits.
const ORDINARY: [&str; 4] = ["cpu", "memory", "ephemeral-storage", PODS];

/// Amounts by resource name, in thousandths (milli-cores, milli-bytes, …), so that all of them are whole numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// How many pods that ask for `request` fit in here.
    #[must_use]
    pub fn fits(&self, request: &Self) -> u32 {
        let named = request.0.iter().map(|(name, amount)| (name.as_str(), *amount)).filter(|(name, _)| *name != PODS);
        let most = named.chain([(PODS, 1000)]).map(|(name, amount)| match self.0.get(name) {
            _ if amount == 0 => u128::MAX,
            Some(free) => free / amount,
            None if ORDINARY.contains(&name) => u128::MAX,
            None => 0,
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

    fn take(&mut self, request: &Self, pods: u32) {
        let named = request.0.iter().map(|(name, amount)| (name.as_str(), *amount)).filter(|(name, _)| *name != PODS);
        for (name, amount) in named.chain([(PODS, 1000)]) {
            if let Some(free) = self.0.get_mut(name) {
                *free = free.saturating_sub(amount.saturating_mul(pods.into()));
            }
        }
    }
}

/// Nodes, each with what is still free on it, that pods are put onto: first fit.
#[derive(Clone, Debug)]
pub struct Bins {
    empty: Resources,
    free: Vec<Resources>,
    most: usize,
}

impl Bins {
    /// Starts with nodes that have `free`; up to `most` nodes in all may be opened, each with `empty`.
    #[must_use]
    pub fn new(empty: Resources, free: Vec<Resources>, most: usize) -> Self {
        Self { empty, free, most }
    }

    /// Puts up to `pods` pods onto the nodes and tells how many found room, and the nodes that took some, by index.
    pub fn place(&mut self, request: &Resources, pods: u32) -> (u32, Vec<usize>) {
        let (mut left, mut took) = (pods, Vec::new());
        let mut bin = 0;
        while left > 0 && bin < self.most.max(self.free.len()) {
            if bin == self.free.len() {
                if self.empty.fits(request) == 0 {
                    break;
                }
                self.free.push(self.empty.clone());
            }
            if let Some(free) = self.free.get_mut(bin) {
                let here = free.fits(request).min(left);
                if here > 0 {
                    free.take(request, here);
                    left -= here;
                    took.push(bin);
                }
            }
            bin += 1;
        }
        (pods - left, took)
    }

    /// How many nodes there are, opened ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// True when there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
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
    fn a_gpu_is_only_where_it_is_named_but_memory_is_everywhere() {
        let node = resources(&[("cpu", "4")]);
        assert_eq!(node.fits(&resources(&[("cpu", "1"), ("memory", "1Gi")])), 4);
        assert_eq!(node.fits(&resources(&[("nvidia.com/gpu", "1")])), 0);
    }

    proptest! {
        #[test]
        fn placed_pods_never_take_more_than_a_node_has(pods in proptest::collection::vec((1u128..3_000, 1u32..20), 1..10), most in 1usize..8) {
            let mut bins = Bins::new(Resources([("cpu".to_owned(), 4_000u128)].into()), Vec::new(), most);
            let mut used = 0u128;
            for (cpu, count) in pods {
                let (placed, _) = bins.place(&Resources([("cpu".to_owned(), cpu)].into()), count);
                prop_assert!(placed <= count);
                used += cpu * u128::from(placed);
            }
            prop_assert!(bins.len() <= most);
            prop_assert!(used <= 4_000 * bins.len() as u128);
        }

        #[test]
        fn an_amount_reads_back_as_written(milli in 0u128..10_000_000_000_000_000) {
            let amounts = Resources([("cpu".to_owned(), milli)].into());
            let texts = amounts.to_quantities();
            prop_assert_eq!(resources(&[("cpu", texts["cpu"].as_str())]), amounts);
        }
    }
}
