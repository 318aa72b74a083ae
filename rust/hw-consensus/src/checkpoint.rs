//! Folds the WAL into the file, on a thread of its own so that it does not stand in a commit's way.

use crate::store::connect;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The WAL is cut, at the price of a late commit, beyond this.
const TRUNCATE_WAL_BYTES: u64 = 64 << 20;

#[derive(Default)]
struct Due {
    now: bool,
    stop: bool,
}

/// The thread; it ends when this is dropped.
pub struct Checkpointer {
    due: Arc<(Mutex<Due>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread for the store at `path`, which exists.
    pub fn start(path: PathBuf) -> std::io::Result<Checkpointer> {
        let due: Arc<(Mutex<Due>, Condvar)> = Arc::default();
        let theirs = Arc::clone(&due);
        let run = move || {
            while wait(&theirs) {
                // What fails now is tried again at the next occasion; the WAL only grows meanwhile.
                let _ = checkpoint(&path);
            }
        };
        let thread = thread::Builder::new().name("consensus-checkpoint".to_owned()).spawn(run)?;
        Ok(Checkpointer { due, thread: Some(thread) })
    }
    /// Asks for a checkpoint soon.
    pub fn ask(&self) {
        self.due.0.lock().unwrap_or_else(PoisonError::into_inner).now = true;
        self.due.1.notify_one();
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.due.0.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.due.1.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for work; false at the end.
fn wait(due: &(Mutex<Due>, Condvar)) -> bool {
    let mut state = due.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.now && !state.stop {
        state = due.1.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.now = false;
    !state.stop
}

fn checkpoint(path: &Path) -> rusqlite::Result<()> {
    let connection = connect(path)?;
    // A connection that has not read yet would checkpoint nothing, silently.
    connection.query_row("SELECT count(*) FROM (SELECT 1 FROM shard LIMIT 1)", [], |_| Ok(()))?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let large = std::fs::metadata(wal).is_ok_and(|found| found.len() > TRUNCATE_WAL_BYTES);
    // The first does the bulk beside commits. The second holds them up for the rest, a moment, so that
    // they begin the WAL again: a commit that makes a file longer is synced for much longer than one
    // that overwrites, and the first alone never reaches the end of a WAL that goes on growing.
    for mode in ["PASSIVE", if large { "TRUNCATE" } else { "RESTART" }] {
        connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?;
    }
    Ok(())
}
