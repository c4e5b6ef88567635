//! What a kernel needs of a processor: vectors of numbers, one row to a lane, and a few operations on them.
//!
//! Every operation is exactly rounded and works lane by lane, so a row's decision has the same bits however wide the
//! vectors are.

/// Rows in a tile, at most: two of the widest vectors.
pub(super) const MOST_ROWS: usize = 32;

/// `f64` or `f32`.
pub(super) trait Number: Copy + PartialEq + PartialOrd + 'static {
    const ZERO: Self;
    /// The exponent below which a power of two counts as 0.
    const LOWEST: Self;
    /// Adding it rounds to a whole number n, and leaves n + bias in the lowest bits: shifted up, they are 2ⁿ.
    const ROUND: Self;
    /// Half the distance from 1 to the next number.
    const ROUNDING: f64;
    /// 2ʳ for |r| ≤ ½, highest power first.
    const EXP2: &'static [Self];

    /// The error of a decision that is tolerated, in a machine whose coefficients add up to `total`.
    fn tolerance(total: f64) -> f64;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
}

/// The vectors of one instruction set. A value of a type that implements this proves that the processor has them.
pub(super) trait Lanes<N: Number>: Copy {
    type Vector: Copy;
    const WIDTH: usize;

    fn splat(self, x: N) -> Self::Vector;
    /// The first numbers of a slice, which has enough of them.
    fn load(self, from: &[N]) -> Self::Vector;
    fn store(self, vector: Self::Vector, to: &mut [N]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger of the two; NaN where `x` is.
    fn at_least(self, x: Self::Vector, lowest: Self::Vector) -> Self::Vector;
    /// The lowest bits, shifted up to where the exponent is: 2ⁿ of what [`Number::ROUND`] has been added to.
    fn power(self, rounded: Self::Vector) -> Self::Vector;
}

/// An instruction set: its vectors of both kinds, and a way to have code compiled for it.
pub(super) trait Instructions: Lanes<f64> + Lanes<f32> {
    /// Runs what is compiled for this set. All that is to be fast must be inlined into the task.
    fn run(self, task: impl Task);
}

/// Work that is the same for every instruction set.
pub(super) trait Task {
    fn run(self, set: impl Instructions);
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const LOWEST: Self = -1023.0;
    const ROUND: Self = 1.5 * (1_u64 << 52) as Self + 1023.0;
    const ROUNDING: f64 = f64::EPSILON / 2.0;
    // Minimax for the relative error by Remez' algorithm in 200-bit arithmetic, then rounded: 3.4e-17.
    const EXP2: &'static [Self] = &[
        4.435_280_944_610_336_3e-10,
        7.074_105_626_245_659e-9,
        1.017_819_803_332_852_8e-7,
        1.321_543_308_959_463e-6,
        1.525_273_348_996_080_5e-5,
        1.540_353_046_251_461_4e-4,
        1.333_355_814_678_995e-3,
        9.618_129_107_588_335e-3,
        5.550_410_866_481_992_5e-2,
        2.402_265_069_591_015_5e-1,
        std::f64::consts::LN_2,
        1.0,
    ];

    /// 2e-13, unless adding up so much rounds by more.
    fn tolerance(total: f64) -> f64 {
        (4.0 * Self::ROUNDING * total).max(2e-13)
    }

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const LOWEST: Self = -127.0;
    const ROUND: Self = 1.5 * (1_u32 << 23) as Self + 127.0;
    const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;
    // As above: 1.6e-8, a quarter of what an f32 rounds by.
    const EXP2: &'static [Self] =
        &[1.534_581_2e-4, 1.339_993_1e-3, 9.618_489e-3, 5.550_328_6e-2, 2.402_264_6e-1, 6.931_472e-1, 1.0];

    /// A millionth of the largest sum.
    fn tolerance(total: f64) -> f64 {
        16.0 * Self::ROUNDING * total
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "rounding to f32 is the point")]
    fn from_f64(x: f64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}
