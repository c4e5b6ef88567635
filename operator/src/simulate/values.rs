//! Values of options, and what is said of wrong ones.

use std::str::FromStr;

use clap::builder::TypedValueParser;
use crds::Prewarm;
use jiff::Timestamp;
use planner::capacity::Resources;
use planner::simulate::RequestPrice;
use planner::simulate::trace::{MAX_SECONDS, MAX_SENSORS};
use planner::simulate::vm::{MAX_PRICE, price};
use spec::Span;

use super::runs::AT_A_TIME;

/// The longest of all durations: ten years.
const LONGEST: Span = Span::from_secs(3_660 * 86_400);
/// The year 3000, in seconds since 1970.
const LATEST_START: i64 = 32_503_680_000;
/// The longest time that a machine takes to come.
const LONGEST_WAY: Span = Span::from_secs(86_400);

/// Who decides on nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The planner: `BreakEven`.
    BreakEven,
    /// The planner: `After`, with what the pool says, or this.
    After(Option<Span>),
    /// The planner: `Never`.
    Never,
    /// The Kubernetes cluster-autoscaler.
    ClusterAutoscaler,
    /// Nobody: as many nodes as are ever needed, always.
    AlwaysOn,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::BreakEven, Self::After(None), Self::Never, Self::ClusterAutoscaler, Self::AlwaysOn];
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        match (name.as_str(), value) {
            ("breakeven", None) => Ok(Self::BreakEven),
            ("after", None) => Ok(Self::After(None)),
            ("after", Some(value)) => Ok(Self::After(Some(duration(value, LONGEST)?))),
            ("never", None) => Ok(Self::Never),
            ("clusterautoscaler" | "autoscaler", None) => Ok(Self::ClusterAutoscaler),
            ("alwayson", None) => Ok(Self::AlwaysOn),
            _ => Err("write BreakEven, After, After=DURATION, Never, cluster-autoscaler or always-on".to_owned()),
        }
    }
}

/// How long machines take to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// Half of them take no longer.
    pub p50: Span,
    /// 95 of a hundred.
    pub p95: Span,
}

impl FromStr for Lateness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut p50, mut p95) = (None, None);
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let into = match name.trim() {
                "p50" => &mut p50,
                "p95" => &mut p95,
                _ => return Err("write both quantiles, such as p50=90s,p95=180s".to_owned()),
            };
            let value = duration(value.trim(), LONGEST_WAY)?;
            if value.as_secs() == 0 || into.replace(value).is_some() {
                return Err("each quantile is given once, and longer than 0s, such as p50=90s,p95=180s".to_owned());
            }
        }
        match (p50, p95) {
            (Some(p50), Some(p95)) if p50 <= p95 => Ok(Self { p50, p95 }),
            (Some(_), Some(_)) => {
                Err("p95 is below p50; half of the machines are there before 95 of a hundred".to_owned())
            }
            _ => Err("write both quantiles, such as p50=90s,p95=180s".to_owned()),
        }
    }
}

/// How many sensors pods score at a time that are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads(pub Vec<u32>);

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "as-set" {
            return Ok(Self(Vec::new()));
        }
        let one = |part: &str| part.trim().parse().ok().filter(|threads| (1..=AT_A_TIME).contains(threads));
        let mut threads: Vec<u32> = text.split(',').map(one).collect::<Option<_>>().ok_or_else(|| {
            format!("write numbers from 1 to {AT_A_TIME}, which is what the scorer begins at a time, or as-set")
        })?;
        threads.sort_unstable();
        threads.dedup();
        Ok(Self(threads))
    }
}

/// Amounts of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amounts(pub Resources);

impl FromStr for Amounts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut amounts: Vec<(&str, &str)> = Vec::new();
        for part in text.split(',') {
            let form = || "write name=amount,…, such as cpu=3800m,memory=12Gi".to_owned();
            let (name, amount) = part.split_once('=').ok_or_else(form)?;
            let (name, amount) = (name.trim(), amount.trim());
            if name.is_empty() || amounts.iter().any(|(known, _)| *known == name) {
                return Err(format!("{name:?} is no resource, or there twice; {}", form()));
            }
            amounts.push((name, amount));
        }
        Resources::parse(amounts).map(Self).map_err(|error| error.to_string())
    }
}

/// What 10,000 requests cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestPrices(pub RequestPrice);

impl FromStr for RequestPrices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!("write a price of 10,000 requests from 0 to {MAX_PRICE}, such as 0.05 or reads=0.004,writes=0.05")
        };
        if let Some(all) = price(text) {
            return Ok(Self(RequestPrice { reads: all, writes: all }));
        }
        let (mut reads, mut writes) = (None, None);
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(form)?;
            let into = match name.trim() {
                "reads" => &mut reads,
                "writes" => &mut writes,
                _ => return Err(form()),
            };
            if into.replace(price(value).ok_or_else(form)?).is_some() {
                return Err(form());
            }
        }
        let (reads, writes) = reads.zip(writes).ok_or_else(form)?;
        Ok(Self(RequestPrice { reads, writes }))
    }
}

/// A value for all schedules, or for one.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T> {
    /// The schedule, with or without its namespace; `None`: all others.
    pub schedule: Option<String>,
    /// The value.
    pub value: T,
}

impl<T: Clone + Send + Sync + 'static> Named<T> {
    /// For an option with values that are read so.
    pub fn parser(read: fn(&str) -> Result<T, String>) -> impl TypedValueParser<Value = Self> {
        clap::builder::StringValueParser::new().try_map(move |text: String| {
            let (schedule, value) =
                text.rsplit_once('=').map_or((None, text.as_str()), |(name, value)| (Some(name), value));
            if schedule.is_some_and(str::is_empty) {
                return Err("the name of a schedule is before the =".to_owned());
            }
            read(value).map(|value| Self { schedule: schedule.map(str::to_owned), value })
        })
    }
}

impl<T: Copy> Named<T> {
    /// What holds for a schedule, and whether that is for it alone.
    pub fn of(all: &[Self], namespace: &str, name: &str) -> Option<T> {
        let fits = |schedule: &str| schedule == name || schedule.split_once('/') == Some((namespace, name));
        let own = all.iter().rev().find(|named| named.schedule.as_deref().is_some_and(fits));
        own.or_else(|| all.iter().rev().find(|named| named.schedule.is_none())).map(|named| named.value)
    }
}

/// A number of sensors.
pub fn sensors(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|sensors| (1..=MAX_SENSORS).contains(sensors));
    number.ok_or_else(|| format!("write a whole number of sensors from 1 to {MAX_SENSORS}"))
}

/// How long a sensor takes.
pub fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds <= MAX_SECONDS);
    number.ok_or_else(|| format!("write seconds above 0, at most {MAX_SECONDS}, such as 0.5"))
}

/// What a node's hour costs.
pub fn node_price(text: &str) -> Result<f64, String> {
    price(text).ok_or_else(|| format!("write a price of a node's hour from 0 to {MAX_PRICE}, such as 0.192"))
}

/// A currency.
pub fn currency(text: &str) -> Result<String, String> {
    let fits = (1..=8).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    fits.then(|| text.to_owned()).ok_or_else(|| "write a currency of up to eight characters, such as EUR".to_owned())
}

/// How long before ticks nodes are asked for.
pub fn prewarm(text: &str) -> Result<Prewarm, String> {
    match text.parse().map_err(|error: crds::prewarm::PrewarmError| error.to_string())? {
        Prewarm::Lead(lead) if lead > LONGEST_WAY => Err(format!("{lead} is longer than {LONGEST_WAY}")),
        prewarm => Ok(prewarm),
    }
}

/// When a simulation begins.
pub fn start(text: &str) -> Result<Timestamp, String> {
    let at: Option<Timestamp> = text.parse().ok();
    let in_range = |at: &Timestamp| (0..LATEST_START).contains(&at.as_second());
    at.filter(in_range).ok_or_else(|| "write a time between 1970 and 3000, such as 2026-01-01T00:00:00Z".to_owned())
}

fn duration(text: &str, most: Span) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: spec::duration::SpanError| error.to_string())?;
    if span > most {
        return Err(format!("{span} is longer than {most}"));
    }
    Ok(span)
}
