//! Answers of rounds on their way to the connections: one crossing to the runtime a round, where a
//! wake from outside costs a system call, and one for each row would be most of a round's work.

use crate::fast::FastState;
use hw_consensus::owner::Answers;
use hw_consensus::rounds::{Outcome, Row};
use hw_link::runtime::runtime;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// See the module. What is under way is bounded by the connections, each of which waits for one row.
pub(crate) struct RoundAnswers {
    state: Arc<FastState>,
    rows: UnboundedSender<Vec<Row>>,
}

impl RoundAnswers {
    /// Starts the task that answers; it ends with this.
    pub(crate) fn start(state: Arc<FastState>) -> RoundAnswers {
        let (rows, mut answered) = unbounded_channel::<Vec<Row>>();
        runtime().spawn(async move {
            while let Some(rows) = answered.recv().await {
                rows.into_iter().for_each(|row| row.end(Outcome::Inserted));
            }
        });
        RoundAnswers { state, rows }
    }
}

impl Answers for RoundAnswers {
    fn inserted(&self, time: u64, rows: Vec<Row>) {
        self.state.set_read_ts(time);
        // The task ends later than this; with the process nobody waits any more.
        let _ = self.rows.send(rows);
    }
}
