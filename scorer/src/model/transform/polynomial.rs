//! Polynomials of features: every product of up to so many of them, in scikit-learn's order.

use serde::{Deserialize, Serialize};

/// More products than a model makes of a row.
const MAX_OUTPUTS: usize = 100_000;

/// A fitted `sklearn.preprocessing.PolynomialFeatures`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolynomialFeatures {
    /// Values of a row.
    pub n_features: usize,
    /// The fewest factors of a product; 0 and 1 are the same.
    pub min_degree: u32,
    /// The most factors of a product.
    pub max_degree: u32,
    /// Whether a feature is a factor once at most.
    pub interaction_only: bool,
    /// Whether a 1 stands in front.
    pub include_bias: bool,
}

impl PolynomialFeatures {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.count() {
            Some(0) => Err("PolynomialFeatures gives no feature".to_owned()),
            Some(1..=MAX_OUTPUTS) if self.max_degree <= 64 => Ok(()),
            _ => Err(format!(
                "PolynomialFeatures of degree {} makes too many of {} features: more than {MAX_OUTPUTS}, or a degree above 64",
                self.max_degree, self.n_features
            )),
        }
    }

    pub(super) fn n_outputs(&self) -> usize {
        self.count().unwrap_or(usize::MAX)
    }

    /// How many products there are; `None` if far too many.
    fn count(&self) -> Option<usize> {
        let mut count = usize::from(self.include_bias);
        // Products of d factors: n over d, or n + d - 1 over d where a feature may be a factor again.
        let mut products = 1_usize;
        for degree in 1..=self.max_degree as usize {
            let choices = if self.interaction_only {
                self.n_features.saturating_add(1).saturating_sub(degree)
            } else {
                self.n_features.checked_add(degree - 1)?
            };
            products = products.checked_mul(choices)? / degree;
            if products > MAX_OUTPUTS {
                return None;
            }
            if products == 0 {
                break;
            }
            if degree >= self.min_degree as usize {
                count = count.checked_add(products)?;
            }
        }
        Some(count)
    }

    pub(super) fn apply(&self, rows: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(rows.len() / self.n_features * self.n_outputs());
        // Products of the degree before, each with the last feature in it.
        let (mut before, mut now) = (Vec::new(), Vec::new());
        for row in rows.chunks_exact(self.n_features) {
            if self.include_bias {
                out.push(1.0);
            }
            before.clear();
            before.push((1.0, None));
            for degree in 1..=self.max_degree {
                now.clear();
                for (product, last) in &before {
                    let first = last.map_or(0, |l| l + usize::from(self.interaction_only));
                    now.extend((first..self.n_features).map(|i| (product * row[i], Some(i))));
                }
                if degree >= self.min_degree {
                    out.extend(now.iter().map(|(product, _)| product));
                }
                std::mem::swap(&mut before, &mut now);
            }
        }
        out
    }
}
