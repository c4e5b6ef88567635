//! Columns of the kernel matrix, made when they are asked for; the last used are kept.

use crate::kernel::Similarity;

/// The matrix `exp(-gamma · |x - y|²)` of every two rows, of which never more columns are held than fit the cache.
///
/// Its numbers are kept in single precision, as libsvm does: the solver's tolerance is far coarser, and a cache holds
/// twice as many.
pub(super) struct Columns {
    rows: Similarity,
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
        let rows = Similarity::new(n_features, gamma, rows);
        let most = (cache_bytes / (rows.len() * size_of::<f32>()).max(1)).max(2);
        let place = vec![ABSENT; rows.len()];
        Self { rows, held: Vec::new(), place, most, clock: 0 }
    }

    /// How many rows, and so columns, there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
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
            self.rows.column(row, &mut self.held[place].column);
        }
        self.held[place].used = self.clock;
        place
    }

    /// A place for a row's column: a new one, or that of the column that was not used for longest.
    fn room(&mut self, row: usize) -> usize {
        let mut place = self.held.len();
        if place < self.most {
            self.held.push(Held { row, used: 0, column: vec![0.0; self.rows.len()] });
        } else {
            let oldest = self.held.iter().enumerate().min_by_key(|(_, held)| held.used);
            place = oldest.map_or(0, |(oldest, _)| oldest);
        }
        let before = std::mem::replace(&mut self.held[place].row, row);
        self.place[before] = ABSENT;
        self.place[row] = place;
        place
    }
}

#[cfg(test)]
mod tests;
