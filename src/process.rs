//! Protection of the process memory: no core dump, no debugger.
//!
//! Invariants: done before anything secret is read, by every command, since each may hold a key or a token; what the
//! system refuses ends the command. No core is written, whatever kills the process; no other program of the same user
//! reads its memory, its environment or its open files, nor attaches to it. Neither can be taken back: the hard limit
//! falls too.
//!
//! Not here: locking of memory (encrypt the swap, or have none), and protection from who is root on the machine.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// What the system refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot keep this process's memory to itself: {what} failed: {error}; allow the call in the sandbox it runs in"
)]
pub struct Exposed {
    what: &'static str,
    error: io::Error,
}

/// Forbids core dumps, and other programs to look into this process.
///
/// # Errors
/// The system refuses one of the two.
pub fn seclude() -> Result<(), Exposed> {
    // Both: a core that is piped to a program ignores the limit's zero, and dumpable comes back with `execve`.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(exposed("setrlimit(RLIMIT_CORE, 0)"))?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(exposed("prctl(PR_SET_DUMPABLE, 0)"))?;
    }
    Ok(())
}

fn exposed(what: &'static str) -> impl Fn(rustix::io::Errno) -> Exposed {
    move |error| Exposed {
        what,
        error: error.into(),
    }
}
