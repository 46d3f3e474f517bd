//! The values that one durable key has had since the last one that is known to be durable.

/// A moment in the order of inputs.
pub(in super::super) type Mark = u64;

/// The values of one durable key, oldest first. The last is the present one; a restart may find any of them.
#[derive(Clone, Debug)]
pub(in super::super) struct History<T>(Vec<(Mark, T)>);

impl<T: Clone + PartialEq> History<T> {
    /// Starts with a value that is durable.
    pub(super) fn new(value: T) -> Self {
        Self(vec![(0, value)])
    }

    /// The present value.
    pub(super) fn current(&self) -> &T {
        &self.0.last().expect("a history is never empty").1
    }

    /// When the present value was set.
    pub(super) fn mark(&self) -> Mark {
        self.0.last().expect("a history is never empty").0
    }

    /// Sets the present value. Whether it becomes durable before a crash is open.
    pub(super) fn set(&mut self, mark: Mark, value: T) {
        self.0.push((mark, value));
    }

    /// Records that the value set at `mark` was acknowledged: a restart finds it or a later one.
    pub(super) fn acknowledge(&mut self, mark: Mark) {
        if let Some(place) = self.0.iter().rposition(|(set, _)| *set <= mark) {
            self.0.drain(..place);
        }
    }

    /// The values that a restart may find.
    pub(super) fn possible(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Records that the first value set at `mark` or later was acknowledged.
    pub(super) fn acknowledge_since(&mut self, mark: Mark) {
        if let Some(place) = self.0.iter().position(|(set, _)| *set >= mark) {
            self.0.drain(..place);
        }
    }

    /// Starts anew with what a restart found.
    pub(super) fn adopt(&mut self, value: T) {
        let mark = self.mark();
        self.0 = vec![(mark, value)];
    }
}
