//! `baraza`: arguments in, one command carried out, an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    baraza::cli::main()
}
