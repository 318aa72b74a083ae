//! Tests of [`super`].

use super::*;
use hw_types::datum::Datum;
use hw_types::row;

#[derive(Default)]
struct Log(Mutex<Vec<(String, Vec<u8>)>>);

impl Commands for Log {
    fn command(&self, replica: &str, payload: Bytes) {
        self.0.lock().expect("not poisoned").push((replica.to_owned(), payload.to_vec()));
    }
}

impl Log {
    fn take(&self) -> Vec<(String, Vec<u8>)> {
        let mut taken = std::mem::take(&mut *self.0.lock().expect("not poisoned"));
        taken.sort();
        taken
    }
}

fn manager() -> (Arc<Log>, Arc<PeekManager>) {
    let log = Arc::new(Log::default());
    let commands: Arc<dyn Commands> = Arc::clone(&log) as _;
    let manager = PeekManager::new(Arc::downgrade(&commands));
    (log, manager)
}

fn spec(id: u8) -> PeekSpec {
    PeekSpec {
        uuid: ByteBuf::from([id; 16]),
        cluster: "c".into(),
        peek: ByteBuf::from(*b"peek"),
        finishing: RowSetFinishing { order_by: vec![], limit: None, offset: 0, project: vec![0] },
        before: vec![ByteBuf::from(*b"before")],
        after: vec![ByteBuf::from(*b"after")],
        waiting_notice: String::new(),
        replica: String::new(),
        max_result_bytes: 0,
    }
}

fn header(id: u8, last: bool) -> Header {
    Header::Peek { uuid: vec![id; 16], last, error: None, canceled: false }
}

fn rows(values: &[i64]) -> Vec<u8> {
    let mut updates = Updates::new();
    values.iter().for_each(|value| updates.push(&row::pack([Datum::Int(*value)]), 0, 1));
    updates.encode().expect("small")
}

fn sent(replica: &str, payload: &[u8]) -> (String, Vec<u8>) {
    (replica.to_owned(), payload.to_vec())
}

#[tokio::test]
async fn the_first_complete_answer_wins_and_the_others_are_cancelled() {
    let (log, manager) = manager();
    manager.replica_ready("c", "r1", 2);
    manager.replica_ready("c", "r2", 1);
    manager.replica_ready("other", "r3", 1);
    let mut handle = manager.peek(spec(1)).expect("started");
    let asked = [sent("r1", b"before"), sent("r1", b"peek"), sent("r2", b"before"), sent("r2", b"peek")];
    assert_eq!(log.take(), asked);
    manager.respond("c", "r1", header(1, true), &rows(&[2]));
    manager.respond("c", "r2", header(1, false), &rows(&[9]));
    manager.respond("c", "r1", header(1, false), &rows(&[3]));
    manager.respond("c", "r1", header(1, true), &rows(&[1]));
    manager.respond("c", "r2", header(1, true), &rows(&[9]));
    let got = handle.rows().await.expect("rows");
    let want = Updates::decode(&rows(&[1, 2, 3])).expect("valid");
    assert_eq!(got, want);
    let cancel = rmp_serde::to_vec_named(&CancelPeek { kind: "cancel_peek", uuid: &[1; 16] }).expect("plain");
    let mut over = vec![sent("r1", b"after"), sent("r2", b"after"), sent("r2", &cancel)];
    over.sort();
    assert_eq!(log.take(), over);
    drop(handle);
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn a_peek_waits_for_a_replica_and_survives_its_loss() {
    let (log, manager) = manager();
    let mut handle = manager.peek(spec(1)).expect("started");
    assert!(!handle.is_asked());
    manager.replica_ready("c", "r1", 1);
    assert!(handle.is_asked());
    manager.respond("c", "r1", header(1, false), &rows(&[7]));
    manager.replica_lost("c", "r1");
    assert!(!handle.is_asked());
    log.take();
    manager.replica_ready("c", "r1", 1);
    assert_eq!(log.take(), [sent("r1", b"before"), sent("r1", b"peek")]);
    manager.respond("c", "r1", header(1, true), &rows(&[7]));
    assert_eq!(handle.rows().await.expect("rows").len(), 1);
}

#[tokio::test]
async fn errors_limits_and_cancellation_end_a_peek() {
    let (log, manager) = manager();
    manager.replica_ready("c", "r1", 1);
    let mut failed = manager.peek(spec(1)).expect("started");
    let error = ReadError::new("22012", "division by zero");
    let answer = Header::Peek { uuid: vec![1; 16], last: true, error: Some(error.clone()), canceled: false };
    manager.respond("c", "r1", answer, &[]);
    assert_eq!(failed.rows().await, Err(error));
    let mut large = manager.peek(PeekSpec { max_result_bytes: 10, ..spec(2) }).expect("started");
    manager.respond("c", "r1", header(2, true), &rows(&[1, 2, 3, 4, 5, 6])); // two bytes each
    assert_eq!(large.rows().await, Err(ReadError::new("53200", "result exceeds max size of 10 B")));
    log.take();
    drop(manager.peek(spec(3)).expect("started"));
    let cancel = rmp_serde::to_vec_named(&CancelPeek { kind: "cancel_peek", uuid: &[3; 16] }).expect("plain");
    let mut want =
        vec![sent("r1", b"before"), sent("r1", b"peek"), sent("r1", &cancel), sent("r1", b"after")];
    want.sort();
    assert_eq!(log.take(), want);
}

#[tokio::test]
async fn peeks_of_a_cluster_can_be_failed() {
    let (_, manager) = manager();
    let mut ours = manager.peek(spec(1)).expect("started");
    let other = manager.peek(PeekSpec { cluster: "other".into(), ..spec(2) }).expect("started");
    let error = ReadError::new("42704", "the cluster was dropped");
    manager.fail("c", &error);
    assert_eq!(ours.rows().await, Err(error));
    assert!(!other.is_asked());
}

#[test]
fn the_specification_is_the_python_struct() {
    // msgspec.msgpack.encode(PeekSource(uuid=b"\1"*16, cluster="c", peek=b"p", finishing=…)).
    #[derive(Serialize)]
    struct Tagged {
        kind: &'static str,
        #[serde(flatten)]
        spec: PeekSpec,
    }
    let bytes = rmp_serde::to_vec_named(&Tagged { kind: "peek", spec: spec(1) }).expect("plain");
    assert_eq!(rmp_serde::from_slice::<PeekSpec>(&bytes).expect("fields by name"), spec(1));
}
