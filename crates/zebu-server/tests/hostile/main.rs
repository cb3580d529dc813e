//! Thousands of hostile connections beside one well-behaved client.
//!
//! Each test starts a server in a process of its own, so that its memory can be told from that of the attackers. A
//! witness ([`witness`]) works all the time: its requests must succeed, be answered in good time, and its session must
//! live on. What the server's process may grow to is stated with each attack.
//!
//! This is a program of its own and no ordinary test harness, since it has to be the server as well.

mod attack;
mod deaf;
mod descriptors;
mod garbage;
mod idle;
mod server;
mod slow;
mod wire;
mod witness;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(dir) = env::var_os(server::DIR_VARIABLE) {
        return server::serve(dir.as_ref());
    }
    let mut arguments = Arguments::from_args();
    // Each attack is to have the machine for itself.
    arguments.test_threads = Some(1);
    let tests = vec![
        Trial::test("garbage_closes_its_connection_and_nothing_else", garbage::run),
        Trial::test("slow_senders_hold_nothing_but_their_connection", slow::run),
        Trial::test("large_values_that_nobody_reads_are_not_held", deaf::large_values),
        Trial::test(
            "many_small_values_that_nobody_reads_are_bounded",
            deaf::many_small_values,
        ),
        Trial::test("events_that_nobody_reads_are_bounded", deaf::events),
        Trial::test("an_idle_session_costs_little", idle::run),
        Trial::test("connections_leave_room_for_files", descriptors::run),
        Trial::test("all_of_it_at_once", attack::all_at_once),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}
