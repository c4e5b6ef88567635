//! The arithmetic of scoring and training: support vector machines with an RBF kernel.
//!
//! The fastest kernel that the processor can run is chosen at run time; all give the same bits, because a row has one
//! lane of a vector for itself and sums go in the same order whatever the vectors' width.
#![allow(unsafe_code, reason = "vector instructions; each block says why it is sound, and every path is tested")]
#![allow(clippy::needless_range_loop, reason = "indexes over fixed arrays are unrolled into registers")]

mod column;
mod exact;
mod exp2;
mod expanded;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use column::Similarity;
use exact::Exact;
use expanded::Expanded;
use lanes::{Instructions, MOST_ROWS, Task};

/// Support vectors, at most, on which the fast form is tried.
const TRIAL: usize = 32;

/// How many digits are computed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 53 bits.
    #[default]
    F64,
    /// 24 bits, about twice as fast.
    F32,
}

/// The instructions that a decision is computed with. The result does not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// 512-bit vectors.
    Avx512,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// ARM's 128-bit vectors.
    Neon,
    /// What every processor has.
    Portable,
}

impl InstructionSet {
    /// Those of this processor, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable].into_iter().filter(|set| match set {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::Avx512::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Portable => true,
            #[allow(unreachable_patterns, reason = "not on every architecture")]
            _ => false,
        })
    }

    /// The fastest of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    /// Runs a task with these instructions, or with those that every processor has.
    fn run(self, task: impl Task) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                if let Some(set) = x86::Avx512::detect() {
                    return set.run(task);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                if let Some(set) = x86::Avx2::detect() {
                    return set.run(task);
                }
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => return neon::Neon.run(task),
            _ => {}
        }
        portable::Portable.run(task);
    }
}

/// A support vector machine with an RBF kernel, prepared once and ready to score any number of rows:
/// `decision(x) = Σ coefficient · exp(-gamma · |x - support vector|²) + intercept`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rbf {
    n_features: usize,
    exact: Exact,
    fast: Fast,
    uncertainty: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Fast {
    F64(Expanded<f64>),
    F32(Expanded<f32>),
    None,
}

impl Rbf {
    /// Prepares a machine: `support` has one vector of `n_features` (at least 1) after the other, as many as
    /// `coefficients`, all finite; `gamma` is above 0.
    #[must_use]
    pub fn new(
        precision: Precision,
        n_features: usize,
        gamma: f64,
        support: &[f64],
        coefficients: &[f64],
        intercept: f64,
    ) -> Self {
        let exact = Exact::new(n_features, gamma, support, coefficients, intercept);
        let fast = match precision {
            Precision::F64 => Expanded::new(n_features, gamma, support, coefficients, intercept).map(Fast::F64),
            Precision::F32 => Expanded::new(n_features, gamma, support, coefficients, intercept).map(Fast::F32),
        };
        let uncertainty = uncertainty(precision, n_features, coefficients, intercept);
        let machine = Self { n_features, exact, fast: fast.unwrap_or(Fast::None), uncertainty };
        // A trial on a few of the support vectors: is the fast form of use?
        let count = coefficients.len();
        let trial: Vec<f64> =
            support.chunks_exact(n_features).step_by(count.div_ceil(TRIAL).max(1)).flatten().copied().collect();
        let mut far = Vec::new();
        let mut out = vec![0.0; trial.len() / n_features];
        InstructionSet::best().run(FastDecisions { machine: &machine, rows: &trial, out: &mut out, far: &mut far });
        if far.len() * 2 > out.len() { Self { fast: Fast::None, ..machine } } else { machine }
    }

    /// How far a decision may be from the one that is added up term by term in the order of the support vectors.
    #[must_use]
    pub fn uncertainty(&self) -> f64 {
        self.uncertainty
    }

    /// The decision of each row; rows of `n_features` stand one after the other, already scaled, and `out` has a place
    /// for each. Decisions of rows with a NaN are NaN. In [`Precision::F64`] the error stays below 1e-12, or 1e-15 of
    /// the coefficients' sum if that is more; in [`Precision::F32`] below 2e-6 of that sum.
    pub fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        self.decisions_with(InstructionSet::best(), 1, rows, out);
    }

    /// As [`Rbf::decisions`], with these instructions (if the processor has them) on so many threads.
    pub fn decisions_with(&self, set: InstructionSet, threads: usize, rows: &[f64], out: &mut [f64]) {
        let share = out.len().div_ceil(threads.max(1)).max(1).next_multiple_of(MOST_ROWS);
        let mut shares = rows.chunks(share * self.n_features).zip(out.chunks_mut(share));
        let Some((rows, out)) = shares.next() else { return };
        std::thread::scope(|scope| {
            for (rows, out) in shares {
                scope.spawn(move || set.run(Decisions { machine: self, rows, out }));
            }
            set.run(Decisions { machine: self, rows, out });
        });
    }
}

/// What [`Rbf::decisions`] errs by, and what rounding does to a sum in plain order: each of its additions rounds by ε/2
/// of what has been added up at most, and a kernel value with e = gamma · |x - v|² by ε · (features / 2 + 2) · e · exp(-e)
/// for the exponent, where e · exp(-e) < ½, and by two ε for the power.
fn uncertainty(precision: Precision, n_features: usize, coefficients: &[f64], intercept: f64) -> f64 {
    let total: f64 = coefficients.iter().map(|c| c.abs()).sum();
    let own = match precision {
        Precision::F64 => (1e-15 * total).max(1e-12),
        Precision::F32 => 2e-6 * total,
    };
    let terms = (coefficients.len() + n_features) as f64 + 8.0;
    own + terms * f64::EPSILON * (total + intercept.abs())
}

/// Decisions by the fast form, and the rows that it is not good enough for.
struct FastDecisions<'a> {
    machine: &'a Rbf,
    rows: &'a [f64],
    out: &'a mut [f64],
    far: &'a mut Vec<usize>,
}

impl Task for FastDecisions<'_> {
    #[inline(always)]
    fn run(self, set: impl Instructions) {
        let Self { machine, rows, out, far } = self;
        match &machine.fast {
            Fast::F64(fast) => fast.decisions(set, rows, out, far),
            Fast::F32(fast) => fast.decisions(set, rows, out, far),
            Fast::None => far.extend(0..out.len()),
        }
    }
}

struct Decisions<'a> {
    machine: &'a Rbf,
    rows: &'a [f64],
    out: &'a mut [f64],
}

impl Task for Decisions<'_> {
    #[inline(always)]
    fn run(self, set: impl Instructions) {
        let Self { machine, rows, out } = self;
        let mut far = Vec::new();
        FastDecisions { machine, rows, out, far: &mut far }.run(set);
        machine.exact.decisions(set, rows, out, &far);
    }
}

#[cfg(test)]
mod tests;
