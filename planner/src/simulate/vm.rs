//! Sizes of virtual machines: what their nodes have for pods, and what they cost.

use spec::Money;

use super::delimited::Delimiter;
use crate::capacity::Resources;

/// The most sizes that are compared.
pub const MAX_SIZES: usize = 50;
/// The most cores and the most GiB of one.
const MAX_CPUS: u32 = 1_024;
const MAX_MEMORY: f64 = 65_536.0;
/// The highest price of an hour.
pub const MAX_PRICE: f64 = 1e6;

/// What the DaemonSets of a node are assumed to ask for: thousandths of a core, and MiB.
const DAEMONS: (u32, f64) = (300, 500.0);
/// Pods that a node has room for beside those of DaemonSets.
const PODS: &str = "100";
/// Pods for which AKS reserves memory.
const MAX_PODS: f64 = 110.0;

/// A size.
#[derive(Clone, Debug, PartialEq)]
pub struct VmSize {
    /// Its name.
    pub name: String,
    /// Cores.
    pub cpus: u32,
    /// Memory in GiB.
    pub memory: f64,
    /// What an hour costs.
    pub price: Option<f64>,
}

/// Why something is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VmError {
    /// Not of the form.
    #[error(
        "{0:?} is not a size; write NAME=PRICE for a known one (D2s_v5 to D96s_v5), or NAME:CPUS:MEMORY=PRICE, such as big:16:64Gi=0.7"
    )]
    Form(String),
    /// Not known, and not told.
    #[error(
        "cpus and memory of {0:?} are not known here; write {0}:CPUS:MEMORY=PRICE, or take one of D2s_v5 to D96s_v5"
    )]
    Unknown(String),
    /// Not a number of cores.
    #[error("{0:?} is not a number of cores; write a whole number from 1 to {MAX_CPUS}")]
    Cpus(String),
    /// Not an amount of memory.
    #[error("{0:?} is not an amount of memory; write GiB from 1 to {MAX_MEMORY}, such as 16 or 16Gi")]
    Memory(String),
    /// Not a price.
    #[error("{0:?} is not a price of an hour; write a number from 0 to {MAX_PRICE}, such as 0.192")]
    Price(String),
    /// Twice.
    #[error("{0} is there twice; give each size a name of its own")]
    Twice(String),
    /// Too many or none.
    #[error("{0} sizes; from 1 to {MAX_SIZES} are compared")]
    Count(usize),
    /// In a line of a file.
    #[error("line {line}: {source}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        source: Box<VmError>,
    },
    /// A quoted field goes on.
    #[error("a quote that does not end on its line")]
    Quote,
    /// Not the fields that there have to be.
    #[error("{0} fields; write name,cpus,memory,price")]
    Fields(usize),
}

impl VmSize {
    /// Reads `NAME=PRICE`, `NAME:CPUS:MEMORY` or `NAME:CPUS:MEMORY=PRICE`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, VmError> {
        let form = || VmError::Form(text.to_owned());
        let (size, money) = text.split_once('=').map_or((text, ""), |(size, price)| (size, price));
        if text.ends_with('=') {
            return Err(VmError::Price(String::new()));
        }
        let parts: Vec<&str> = size.split(':').map(str::trim).collect();
        match parts.as_slice() {
            [name] => Self::of(name, "", "", money),
            [name, cpus, memory] if !cpus.is_empty() && !memory.is_empty() => Self::of(name, cpus, memory, money),
            _ => Err(form()),
        }
    }

    /// Reads a comma-separated list of them.
    ///
    /// # Errors
    /// When one is wrong or there twice.
    pub fn list(text: &str) -> Result<Vec<Self>, VmError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        apart(parts.map(Self::parse).collect::<Result<_, _>>()?)
    }

    /// Reads a CSV of name, cpus, memory and price; a first line that begins with `name` is a header. The last three may be
    /// empty: cpus and memory of known sizes, and any price.
    ///
    /// # Errors
    /// When a line is wrong, or a size there twice.
    pub fn file(text: &str) -> Result<Vec<Self>, VmError> {
        let mut sizes = Vec::new();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let at = |source| VmError::Line { line: number + 1, source: Box::new(source) };
            let fields = Delimiter::of(line).fields(line).ok_or_else(|| at(VmError::Quote))?;
            if sizes.is_empty() && fields.first().is_some_and(|name| name.eq_ignore_ascii_case("name")) {
                continue;
            }
            let field = |at: usize| fields.get(at).map_or("", String::as_str);
            if fields.len() > 4 {
                return Err(at(VmError::Fields(fields.len())));
            }
            sizes.push(Self::of(field(0), field(1), field(2), field(3)).map_err(at)?);
        }
        apart(sizes)
    }

    fn of(name: &str, cpus: &str, memory: &str, money: &str) -> Result<Self, VmError> {
        if name.is_empty() || name.chars().count() > 64 {
            return Err(VmError::Form(name.chars().take(80).collect()));
        }
        let known = known(name);
        let missing = || VmError::Unknown(name.to_owned());
        let wrong_cpus = || VmError::Cpus(cpus.to_owned());
        let wrong_memory = || VmError::Memory(memory.to_owned());
        let cpus = match cpus {
            "" => known.ok_or_else(missing)?.0,
            text => text.parse().ok().filter(|cpus| (1..=MAX_CPUS).contains(cpus)).ok_or_else(wrong_cpus)?,
        };
        let memory = match memory {
            "" => known.ok_or_else(missing)?.1,
            text => {
                let number: Option<f64> = text.strip_suffix("Gi").unwrap_or(text).trim().parse().ok();
                number.filter(|memory| (1.0..=MAX_MEMORY).contains(memory)).ok_or_else(wrong_memory)?
            }
        };
        let price = match money {
            "" => None,
            text => Some(price(text).ok_or_else(|| VmError::Price(text.to_owned()))?),
        };
        Ok(Self { name: name.to_owned(), cpus, memory, price })
    }

    /// What a node of this size has for pods: without what AKS reserves, as its documentation says for 110 pods and
    /// Kubernetes 1.29 or newer, and without what DaemonSets are assumed to ask for.
    #[must_use]
    pub fn capacity(&self) -> Resources {
        // 60m, 100m, 140m, 180m, 260m, 420m, 740m of 1, 2, 4, 8, 16, 32, 64 cores.
        let reserved = match self.cpus {
            cpus @ 0..=2 => 20 + 40 * cpus,
            cpus @ 3..=4 => 60 + 20 * cpus,
            cpus => 100 + 10 * cpus,
        };
        let cpu = (self.cpus * 1_000).saturating_sub(reserved + DAEMONS.0);
        // 20 MB for each pod and 50 MB, or a quarter of all where that is less; and 100 MiB before pods are evicted.
        let mib = self.memory * 1_024.0;
        let reserved = ((20.0 * MAX_PODS + 50.0) / 1.048_576).min(mib / 4.0) + 100.0;
        let memory = (mib - reserved - DAEMONS.1).max(0.0).floor();
        let amounts = [("cpu", format!("{cpu}m")), ("memory", format!("{memory}Mi")), ("pods", PODS.to_owned())];
        Resources::parse(amounts.iter().map(|(name, amount)| (*name, amount.as_str()))).unwrap_or_default()
    }
}

/// A price, from 0.
#[must_use]
pub fn price(text: &str) -> Option<f64> {
    let price: Money = text.trim().parse().ok()?;
    Some(price.to_f64()).filter(|price| *price <= MAX_PRICE)
}

/// Cores and GiB of Azure's D-series v5 (`D4s_v5`, `Standard_D4ads_v5`, …): four GiB for each core.
fn known(name: &str) -> Option<(u32, f64)> {
    let lower = name.to_ascii_lowercase();
    let size = lower.strip_prefix("standard_").unwrap_or(&lower).strip_prefix('d')?.strip_suffix("_v5")?;
    let digits = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let (cpus, letters) = size.split_at(digits);
    let cpus: u32 = cpus.parse().ok()?;
    let is_known =
        [2, 4, 8, 16, 32, 48, 64, 96].contains(&cpus) && ["", "s", "d", "ds", "as", "ads"].contains(&letters);
    is_known.then(|| (cpus, 4.0 * f64::from(cpus)))
}

fn apart(sizes: Vec<VmSize>) -> Result<Vec<VmSize>, VmError> {
    if !(1..=MAX_SIZES).contains(&sizes.len()) {
        return Err(VmError::Count(sizes.len()));
    }
    let twice = sizes.iter().enumerate().find(|(at, size)| sizes[..*at].iter().any(|other| other.name == size.name));
    match twice {
        Some((_, size)) => Err(VmError::Twice(size.name.clone())),
        None => Ok(sizes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(name: &str, cpus: u32, memory: f64, price: Option<f64>) -> VmSize {
        VmSize { name: name.to_owned(), cpus, memory, price }
    }

    #[test]
    fn known_sizes_need_no_more_than_a_price_and_others_say_what_they_have() {
        let list = VmSize::list("D4s_v5=0.192, Standard_D96ads_v5,big:16:64Gi=0.7,small:2:7.5").unwrap();
        let expected = [
            size("D4s_v5", 4, 16.0, Some(0.192)),
            size("Standard_D96ads_v5", 96, 384.0, None),
            size("big", 16, 64.0, Some(0.7)),
            size("small", 2, 7.5, None),
        ];
        assert_eq!(list, expected);
        let file =
            "name;cpus;memory;price\nD4s_v5;;;0.192\n# larger\n\"Standard_D96ads_v5\"\nbig;16;64Gi;0.7\nsmall;2;7.5;\n";
        assert_eq!(VmSize::file(file).unwrap(), expected);
    }

    #[test]
    fn what_is_no_size_is_refused_with_what_to_write() {
        let text = |text: &str| text.to_owned();
        let cases = [
            ("", VmError::Count(0)),
            ("a:1", VmError::Form(text("a:1"))),
            ("a:1:", VmError::Form(text("a:1:"))),
            ("M64=3", VmError::Unknown(text("M64"))),
            ("D5s_v5", VmError::Unknown(text("D5s_v5"))),
            ("a:0:4", VmError::Cpus(text("0"))),
            ("a:99999999999:4", VmError::Cpus(text("99999999999"))),
            ("a:2:0", VmError::Memory(text("0"))),
            ("a:2:NaN", VmError::Memory(text("NaN"))),
            ("a:2:4=free", VmError::Price(text("free"))),
            ("a:2:4=-1", VmError::Price(text("-1"))),
            ("a:2:4=", VmError::Price(text(""))),
            ("D4s_v5=1,D4s_v5=2", VmError::Twice(text("D4s_v5"))),
        ];
        for (list, error) in cases {
            assert_eq!(VmSize::list(list), Err(error), "{list}");
        }
        let wrong = VmSize::file("D4s_v5\nx,1,2,3,4").unwrap_err();
        assert_eq!(wrong, VmError::Line { line: 2, source: Box::new(VmError::Fields(5)) });
    }

    #[test]
    fn a_node_has_what_azure_and_daemonsets_leave() {
        let pod = |cpu: &str, memory: &str| Resources::parse([("cpu", cpu), ("memory", memory)]).unwrap();
        let four = size("D4s_v5", 4, 16.0, None).capacity();
        // 4,000m - 140m - 300m, and 16 GiB - 2,250 MB - 600 MiB.
        assert_eq!(
            (four.fits(&pod("3560m", "13638Mi")), four.fits(&pod("3561m", "1Mi")), four.fits(&pod("1m", "13639Mi"))),
            (1, 0, 0)
        );
        assert_eq!(size("a", 2, 8.0, None).capacity().fits(&pod("1600m", "5544Mi")), 1);
        assert_eq!(size("a", 64, 256.0, None).capacity().fits(&pod("62960m", "1Mi")), 1);
        assert_eq!(size("a", 1, 1.0, None).capacity().fits(&pod("641m", "1Mi")), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([-0-9a-zé.,;:=\" \n]|D4s_v5){0,30}") {
            let _read = (VmSize::list(&text), VmSize::file(&text));
        }

        #[test]
        fn more_cores_and_memory_never_leave_less(cpus in 1u32..1_024, memory in 1u32..4_096) {
            let fits = |cpus, memory| {
                let capacity = size("a", cpus, f64::from(memory), None).capacity();
                capacity.fits(&Resources::parse([("cpu", "100m"), ("memory", "100Mi")]).unwrap_or_default())
            };
            prop_assert!(fits(cpus + 1, memory + 1) >= fits(cpus, memory));
        }
    }
}
