//! What a simulation tells, in numbers and words that people read.

use serde::Serialize;
use spec::Span;

use super::outcome::{Late, Outcome};
use super::requests::{RequestPrice, StoreRequests};

/// What things cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// An hour of a node.
    pub node_hour: Option<f64>,
    /// Requests to the store.
    pub requests: Option<RequestPrice>,
}

/// What a policy did with a demand, and what that costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The policy.
    pub policy: String,
    /// Node-hours.
    pub node_hours: f64,
    /// What they cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How long after their ticks runs started, in seconds.
    pub starts_late: Late,
    /// How long after they would have ended at best runs ended, in seconds.
    pub ends_late: Late,
    /// How long after their ticks runs had ended, in seconds.
    pub done: Late,
    /// Operations that took machines in.
    pub puts: u32,
    /// Operations that deleted machines.
    pub deletes: u32,
    /// The most nodes there were.
    pub most_nodes: u32,
    /// Requests to the store.
    pub store_requests: StoreRequests,
    /// What these cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_cost: Option<f64>,
}

impl Row {
    /// Of an outcome.
    #[must_use]
    pub fn of(policy: String, outcome: &Outcome, prices: &Prices, store_requests: StoreRequests) -> Self {
        Self {
            policy,
            node_hours: outcome.node_hours(),
            cost: prices.node_hour.map(|price| outcome.cost(price)),
            starts_late: outcome.starts,
            ends_late: outcome.ends,
            done: outcome.done,
            puts: outcome.puts,
            deletes: outcome.deletes,
            most_nodes: outcome.most_nodes,
            store_requests,
            store_cost: prices.requests.map(|price| price.of(&store_requests)),
        }
    }

    /// The titles of [`Row::cells`].
    #[must_use]
    pub fn titles(currency: &str) -> Vec<String> {
        let (nodes, store) = (format!("COST {currency}"), format!("STORE {currency}"));
        let titles = [
            "NODE-HOURS",
            &nodes,
            "LATE P50",
            "P95",
            "MAX",
            "ENDS P95",
            "MAX",
            "MOST NODES",
            "SCALINGS",
            "REQUESTS",
            &store,
        ];
        titles.iter().map(|title| (*title).to_owned()).collect()
    }

    /// What a table has of it, without the policy.
    #[must_use]
    pub fn cells(&self) -> Vec<String> {
        vec![
            number(self.node_hours, 1),
            money(self.cost),
            length(self.starts_late.p50),
            length(self.starts_late.p95),
            length(self.starts_late.most),
            length(self.ends_late.p95),
            length(self.ends_late.most),
            self.most_nodes.to_string(),
            count(u64::from(self.puts) + u64::from(self.deletes)),
            count(self.store_requests.total()),
            money(self.store_cost),
        ]
    }
}

/// Columns side by side: those of `words` (by index) to the left, all others, which are numbers, to the right.
#[must_use]
pub fn table(titles: &[String], words: &[usize], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = std::iter::once(titles).chain(rows.iter().map(Vec::as_slice)).filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let line = |row: &[String]| {
        let cell = |(at, (cell, width)): (usize, (&String, &usize))| match words.contains(&at) {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        };
        let cells: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    std::iter::once(titles).chain(rows.iter().map(Vec::as_slice)).map(line).collect()
}

/// A length of time in seconds, such as `1m30s`.
#[must_use]
pub fn length(seconds: i64) -> String {
    Span::from_secs(u64::try_from(seconds).unwrap_or(0)).to_string()
}

/// A sum of money, if there is a price.
#[must_use]
pub fn money(amount: Option<f64>) -> String {
    amount.map_or_else(|| "-".to_owned(), |amount| number(amount, 2))
}

/// A whole number with commas, such as `12,345`.
#[must_use]
pub fn count(number: u64) -> String {
    commas(&number.to_string())
}

/// A number with commas and so many digits after the point, such as `12,345.6`.
#[must_use]
pub fn number(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    match text.split_once('.') {
        Some((whole, rest)) => format!("{}.{rest}", commas(whole)),
        None => commas(&text),
    }
}

fn commas(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!((count(0), count(999), count(1_000)), ("0".to_owned(), "999".to_owned(), "1,000".to_owned()));
        assert_eq!((number(1_234_567.891, 2), number(0.5, 1)), ("1,234,567.89".to_owned(), "0.5".to_owned()));
        assert_eq!((length(0), length(90), length(3_600)), ("0s".to_owned(), "1m30s".to_owned(), "1h".to_owned()));
    }

    #[test]
    fn columns_stand_below_their_titles() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let shown = table(&row(&["POLICY", "HOURS"]), &[0], &[row(&["é", "1"]), row(&["longer one", "12,345"])]);
        assert_eq!(shown, "POLICY       HOURS\né                1\nlonger one  12,345\n");
    }

    #[test]
    fn each_cell_has_its_title_and_what_has_no_price_no_cost() {
        let row = Row::of("x".to_owned(), &Outcome::default(), &Prices::default(), StoreRequests::default());
        assert_eq!(row.cells().len(), Row::titles("EUR").len());
        assert_eq!(row.cells()[1], "-");
    }
}
