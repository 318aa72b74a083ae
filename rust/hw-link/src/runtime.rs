//! The one tokio runtime of the process.

use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

/// Threads that serve sockets: one beside the timely workers is enough on small machines.
pub const IO_THREADS: usize = 1;
/// Threads for sorting large results at most.
const BLOCKING_THREADS_MAX: usize = 2;

/// Returns the process's runtime, starting it at the first call.
///
/// # Panics
/// Where the operating system refuses a thread.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("headwater-io")
            .enable_all()
            .build()
            .expect("the operating system gives us a thread")
    })
}
