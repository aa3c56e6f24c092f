//! Planned crashes, for tests: where in an effect's life an engine can be made to die. In production nothing is planned.

/// Where a test can have the engine die, in the order of one effect's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// An action is decided, nothing is recorded.
    Decided,
    /// The effect is recorded as started, nothing has begun.
    Started,
    /// The effect is under way.
    Flying,
    /// The result is here, and not yet recorded.
    Landed,
    /// The result is recorded.
    Recorded,
    /// A checkpoint of the workspace is recorded.
    Kept,
}

/// Planned crashes.
pub trait Faults {
    /// Dies here, or does not.
    fn at(&mut self, place: Place) -> Result<(), Crash>;
}

/// A planned crash: the engine drops everything as a kill would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash;

/// No planned crashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn at(&mut self, _place: Place) -> Result<(), Crash> {
        Ok(())
    }
}
