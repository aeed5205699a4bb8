//! Work that can wait: it has the cores when nobody else wants them.

use std::io;
use std::panic::resume_unwind;
use std::thread;

/// How much nicer than whoever started it (nice(1)): of a core that both want, the other gets three quarters. Not
/// more: on a machine that others keep busy, what was published is still to be found soon.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// There is nothing nicer.
#[cfg(target_os = "linux")]
const NICENESS_MAX: i32 = 19;

/// Does something in a thread of its own that comes after all others, and waits for it. Threads that it starts
/// come after all others, too: a thread inherits its niceness (sched(7)).
///
/// # Errors
/// The system gives no thread; nothing was done then.
pub(crate) fn run<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, || {
                come_last();
                work()
            })?;
        thread.join().map_err(|panic| resume_unwind(panic))
    })
}

/// Only Linux has a niceness for each thread. Where there is none, all are alike.
fn come_last() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let own = Some(rustix::thread::gettid());
        // The whole program may have been started behind others.
        let nicer = |niceness: i32| (niceness + NICER).min(NICENESS_MAX);
        if let Err(error) =
            getpriority_process(own).and_then(|now| setpriority_process(own, nicer(now)))
        {
            tracing::debug!(%error, "a thread keeps its priority");
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::thread;

    use super::{NICENESS_MAX, NICER, run};

    fn niceness() -> i32 {
        rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap()
    }

    #[test]
    fn work_that_can_wait_and_all_that_it_starts_comes_last_and_nobody_else() {
        let before = niceness();
        let (own, started) = run("test", || {
            (niceness(), thread::spawn(niceness).join().unwrap())
        })
        .unwrap();
        let after = (before + NICER).min(NICENESS_MAX);
        assert_eq!((own, started), (after, after));
        assert_eq!(niceness(), before);
    }
}
