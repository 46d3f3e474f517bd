//! Both chips to one set of readings.

/// Both chips behind one bus.
pub struct Hat;
