//! Work that can wait: it has the cores when nobody else wants them.

use std::io;
use std::panic::resume_unwind;
use std::thread;

/// nice(1): of a core that both want, somebody with nothing set gets three quarters. Not more: on a machine that
/// others keep busy, what was published is still to be found soon.
const NICENESS: i32 = 5;

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
    if let Err(error) =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS)
    {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::thread;

    use super::{NICENESS, run};

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
        assert_eq!((own, started), (NICENESS.max(before), NICENESS.max(before)));
        assert_eq!(niceness(), before);
    }
}
