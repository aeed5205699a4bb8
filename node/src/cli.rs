//! The command line: what operators type, and what they see.
//!
//! Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage. With `--json` the result is
//! the last line of standard output.

mod arguments;
mod run;
pub(crate) use run::until_signal;
mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use serde_json::Value;

use crate::commands::Done;
use arguments::Arguments;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // clap leaves with 2 for wrong usage, and with 0 for help.
    let arguments = Arguments::parse();
    start_log(arguments.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("baraza: this machine gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let wants_json = arguments.json;
    match runtime.block_on(run::run(arguments)) {
        Ok(done) => {
            print(&done, wants_json);
            if done.is_complete {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            if wants_json {
                println!("{}", serde_json::json!({"error": error.to_string()}));
            }
            eprintln!("baraza: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(done: &Done, wants_json: bool) {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have seen enough, as `head` does: that is no fault.
    if !wants_json && !done.text.is_empty() {
        let _ = writeln!(out, "{}", done.text);
    }
    if wants_json && done.json != Value::Null {
        let _ = writeln!(out, "{}", done.json);
    }
}

/// Faults go to standard error; more with `--verbose`.
fn start_log(is_verbose: bool) {
    let filter = if is_verbose {
        "baraza=debug"
    } else {
        "baraza=warn"
    };
    // A log that is there already is used as it is.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
