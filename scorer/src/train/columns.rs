//! Columns of the kernel matrix, made when they are asked for; the last used are kept.

/// Rows whose distances are summed at once: small enough for the first-level cache.
const BLOCK: usize = 256;

/// The matrix `exp(-gamma · |x - y|²)` of every two rows, of which never more columns are held than fit the cache.
///
/// Its numbers are kept in single precision, as libsvm does: the solver's tolerance is far coarser, and a cache holds
/// twice as many.
pub(super) struct Columns {
    rows: usize,
    /// Feature by feature, so that the rows lie side by side for the processor's vectors.
    features: Vec<f64>,
    /// The kernel is `2^(exponent · |x - y|²)`.
    exponent: f64,
    held: Vec<Held>,
    /// Where each row's column is in `held`, and [`ABSENT`] where it is not.
    place: Vec<usize>,
    most: usize,
    clock: u64,
}

struct Held {
    row: usize,
    used: u64,
    column: Vec<f32>,
}

const ABSENT: usize = usize::MAX;

impl Columns {
    /// The matrix of rows that stand one after the other. At least two columns are held, whatever `cache_bytes` says.
    pub(super) fn new(rows: &[f64], n_features: usize, gamma: f64, cache_bytes: usize) -> Self {
        let count = rows.len() / n_features;
        let features = (0..n_features).flat_map(|f| rows.iter().skip(f).step_by(n_features)).copied().collect();
        let most = (cache_bytes / (count * size_of::<f32>()).max(1)).max(2);
        let exponent = -gamma * std::f64::consts::LOG2_E;
        Self { rows: count, features, exponent, held: Vec::new(), place: vec![ABSENT; count], most, clock: 0 }
    }

    /// How many rows, and so columns, there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The kernel of a row with every row.
    pub(super) fn get(&mut self, row: usize) -> &[f32] {
        let place = self.load(row);
        &self.held[place].column
    }

    /// Two columns at once.
    pub(super) fn pair(&mut self, one: usize, other: usize) -> (&[f32], &[f32]) {
        let one = self.load(one);
        // What was used last is not what makes room.
        let other = self.load(other);
        (&self.held[one].column, &self.held[other].column)
    }

    fn load(&mut self, row: usize) -> usize {
        self.clock += 1;
        let mut place = self.place[row];
        if place == ABSENT {
            place = self.room(row);
            let mut column = std::mem::take(&mut self.held[place].column);
            self.fill(row, &mut column);
            self.held[place].column = column;
        }
        self.held[place].used = self.clock;
        place
    }

    /// A place for a row's column: a new one, or that of the column that was not used for longest.
    fn room(&mut self, row: usize) -> usize {
        let oldest = self.held.iter().enumerate().min_by_key(|(_, held)| held.used).map(|(place, _)| place);
        let place = match oldest {
            Some(oldest) if self.held.len() >= self.most => oldest,
            _ => {
                self.held.push(Held { row, used: 0, column: vec![0.0; self.rows] });
                self.held.len() - 1
            }
        };
        let before = std::mem::replace(&mut self.held[place].row, row);
        self.place[before] = ABSENT;
        self.place[row] = place;
        place
    }

    fn fill(&self, row: usize, column: &mut [f32]) {
        let mut distances = [0.0; BLOCK];
        for (block, out) in column.chunks_mut(BLOCK).enumerate() {
            let from = block * BLOCK;
            let distances = &mut distances[..out.len()];
            distances.fill(0.0);
            for feature in self.features.chunks_exact(self.rows) {
                let centre = feature[row];
                for (distance, x) in distances.iter_mut().zip(&feature[from..]) {
                    *distance += (x - centre) * (x - centre);
                }
            }
            for (out, distance) in out.iter_mut().zip(&*distances) {
                #[allow(clippy::cast_possible_truncation, reason = "single precision is what is kept")]
                let value = exp2(self.exponent * distance) as f32;
                *out = value;
            }
        }
    }
}

/// `2^x` for `x` of at most 0, to 11 digits: more than single precision keeps. Without a branch, so that compilers make
/// vectors of it, and without a fused multiply-add, so that every processor gives the same bits.
#[inline(always)]
fn exp2(x: f64) -> f64 {
    /// The powers of ln 2, divided by the factorials: the series of 2^x.
    const SERIES: [f64; 10] = [
        1.0,
        std::f64::consts::LN_2,
        2.402_265_069_591_007e-1,
        5.550_410_866_482_158e-2,
        9.618_129_107_628_477e-3,
        1.333_355_814_642_844_3e-3,
        1.540_353_039_338_161e-4,
        1.525_273_380_405_984e-5,
        1.321_548_679_014_430_7e-6,
        1.017_808_600_923_97e-7,
    ];
    /// Added and taken away, it rounds to a whole number, which its last bits show.
    const ROUND: f64 = 1.5 * (1_u64 << 52) as f64;
    let x = x.max(-1_022.0);
    let shifted = x + ROUND;
    let rest = x - (shifted - ROUND);
    let power = SERIES.iter().rev().fold(0.0, |sum, term| sum * rest + term);
    f64::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 52))
}

#[cfg(test)]
mod tests;
