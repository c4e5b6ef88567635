//! The good rows of a sensor, side by side in a few allocations.

/// Good rows of one sensor, in the file's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    times: Texts,
    texts: Texts,
    values: Vec<f64>,
    count: usize,
}

impl Rows {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values, one row after the other.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// A row's time as it stands in the file; empty without a column for it.
    #[must_use]
    pub fn time(&self, row: usize) -> &str {
        self.times.get(row)
    }

    /// A row's values as they stand in the file.
    pub(crate) fn value_texts(&self, row: usize, width: usize) -> impl Iterator<Item = &str> {
        (row * width..(row + 1) * width).map(|at| self.texts.get(at))
    }

    /// Bytes that they take in memory, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.times.bytes() + self.texts.bytes() + self.values.len() * size_of::<f64>()
    }

    /// Adds the next value of a row that is not yet whole; what is read as a number is ASCII.
    pub(super) fn push_value(&mut self, value: f64, text: &[u8]) {
        self.values.push(value);
        self.texts.push(text);
    }

    /// Ends a row.
    pub(super) fn push_time(&mut self, time: &str) {
        self.times.push(time.as_bytes());
        self.count += 1;
    }

    /// Takes the values of a row back that did not become whole.
    pub(super) fn drop_partial(&mut self, width: usize) {
        self.values.truncate(self.count * width);
        self.texts.truncate(self.count * width);
    }
}

/// Many short texts in one allocation, each of them UTF-8.
#[derive(Clone, Debug, Default, PartialEq)]
struct Texts {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len());
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<usize>()
    }

    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or_default() };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}
