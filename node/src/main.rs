//! `baraza`: arguments in, one command carried out, an exit code.

use std::process::ExitCode;

/// Records are made on some threads and dropped on others, which this allocator is made for: bulk
/// ingest takes a third less time of all cores than with the system's (bench `ingest`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    baraza::cli::main()
}
