//! Lists of operations on the broker's machine: what may happen outside, in any order.
//!
//! - [`operation`] is what the fuzzer makes, [`sketch`] the packets among it; they go through the codec like a client's.
//! - [`machine`] carries operations and outputs out, and alone knows the machine's functions.
//! - [`setting`] is how the machine is set up, and what it is told of users.
//! - [`peer`] is a connection as its client sees it, and holds most of the checks.

mod machine;
mod operation;
mod peer;
mod setting;
mod sketch;

pub use machine::Machine;
pub use operation::{Input, Operation};
pub use setting::Setting;

/// Operations of one input; what follows is not carried out.
const OPERATIONS_MAX: usize = 300;

/// Carries out `input`, then brings everything to rest and looks whether something was left over.
pub fn check(input: &Input) {
    let mut machine = Machine::new(&input.setting);
    for operation in input.operations.iter().take(OPERATIONS_MAX) {
        machine.carry_out(operation);
    }
    machine.rest();
}
