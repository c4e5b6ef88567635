//! An amount of money as people write it in a manifest: `0.192`, `500`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::int_or_text;

/// A non-negative amount in some currency, exact to a millionth of it; written `0.192` or `500`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

/// Why a text is no [`Money`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no amount of money; write a decimal with up to six digits after the point, such as \"0.192\"")]
pub struct MoneyError(String);

/// Millionths in one.
const MILLION: u64 = 1_000_000;
/// The most digits before the point, and after it.
const DIGITS: (usize, usize) = (12, 6);

impl Money {
    /// So many millionths.
    #[must_use]
    pub const fn from_millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    #[must_use]
    pub const fn millionths(self) -> u64 {
        self.0
    }

    /// What `part` of `whole` costs where the whole costs this: to the nearest millionth, and no more than can be told.
    #[must_use]
    pub fn share(self, part: u64, whole: u64) -> Self {
        let whole = u128::from(whole.max(1));
        let millionths = (u128::from(self.0) * u128::from(part) + whole / 2) / whole;
        Self(u64::try_from(millionths).unwrap_or(u64::MAX))
    }

    /// As a floating-point number, for estimates and charts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 15 digits")]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let fits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let read = || {
            let whole: u64 = whole.parse().ok()?;
            let fraction: u64 = format!("{fraction:0<width$}", width = DIGITS.1).parse().ok()?;
            Some(Self(whole.checked_mul(MILLION)?.checked_add(fraction)?))
        };
        let amount = if fits(whole, DIGITS.0) && fits(fraction, DIGITS.1) { read() } else { None };
        amount.ok_or_else(|| MoneyError(text.to_owned()))
    }
}

/// With two to six digits after the point.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / MILLION, format!("{:06}", self.0 % MILLION));
        let digits = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{whole}.{}", &fraction[..digits])
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        int_or_text::deserialize(
            deserializer,
            "an amount of money: a decimal in quotes such as \"0.192\", or a whole number",
        )
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No floating-point number: what it is rounded to depends on who reads it.
        int_or_text::schema(
            "string(self).matches('^[0-9]{1,12}([.][0-9]{1,6})?$')",
            "it must be a decimal in quotes with up to six digits after the point, such as \"0.192\", or a whole number",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_a_decimal_in_quotes_or_a_whole_number() {
        for (json, shown) in
            [("\"0.192\"", "0.192"), ("500", "500.00"), ("\"0.5\"", "0.50"), ("\"000.000001\"", "0.000001")]
        {
            assert_eq!(serde_json::from_str::<Money>(json).unwrap().to_string(), shown);
        }
        let wrong =
            ["0.192", "-1", "\"-1\"", "\"\"", "\".5\"", "\"5.\"", "\"1e3\"", "\"NaN\"", "\"1.0000001\"", "null"];
        for json in wrong.into_iter().chain(["\"1,5\"", "\"+1\"", "\"1000000000000\"", "1000000000000", "\"1.2.3\""]) {
            let error = serde_json::from_str::<Money>(json).unwrap_err().to_string();
            assert!(error.contains("such as \"0.192\""), "{json}: {error}");
        }
        assert_eq!(serde_json::to_string(&Money(12_500_000)).unwrap(), "\"12.50\"");
    }

    #[test]
    fn a_share_is_rounded_to_the_nearest_millionth() {
        let price: Money = "0.192".parse().unwrap();
        assert_eq!(price.share(3_600, 3_600), price);
        assert_eq!(price.share(1_800, 3_600).to_string(), "0.096");
        assert_eq!(price.share(1, 3_600).millionths(), 53);
        assert_eq!(Money(u64::MAX).share(u64::MAX, 1), Money(u64::MAX));
    }

    proptest! {
        #[test]
        fn an_amount_reads_back_as_written(millionths in 0u64..1_000_000_000_000_000_000) {
            let money = Money(millionths);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }
    }
}
