//! What a run took.

/// What a run took, all of its processes together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processors.
    pub(crate) cpu: f64,
    /// The most memory, in MiB; of several processes each its own most.
    pub(crate) peak: f64,
    /// Once each replica had partitions that it kept: how many records were left, and in how many seconds they were done.
    pub(crate) settled: Option<(f64, f64)>,
}

impl Took {
    /// Processors in use on average.
    pub(crate) fn cores(&self) -> f64 {
        self.cpu / self.wall
    }

    /// Of so many events.
    pub(crate) fn per_second(&self, events: f64) -> f64 {
        events / self.wall
    }

    /// Without what it takes replicas to share the partitions, which they do once.
    pub(crate) fn per_second_settled(&self, events: f64) -> f64 {
        self.settled.map_or_else(|| self.per_second(events), |(records, seconds)| records / seconds)
    }

    pub(crate) fn per_core(&self, events: f64) -> f64 {
        events / self.cpu
    }
}
