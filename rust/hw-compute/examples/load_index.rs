//! Loads an index from parts, beside typed differential dataflow fed from memory in the same process.
//!
//! `load_index [UPDATES] [KEYS] [WORKERS]`, by default 5 M random updates over 1 M keys on one worker.
//! The index must load at half the typed rate at least, and hold 1.5 times its rows' bytes at most.

#![allow(clippy::print_stdout, missing_docs)]

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use bytes::Bytes;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatcher, OrdValSpine};
use hw_compute::arrangement::{arrange, heap_bytes};
use hw_compute::container::FlatBuilder;
use hw_compute::expr::{Mfp, ScalarExpr};
use hw_compute::gather::Responder;
use hw_compute::plan::{DataflowDescription, IndexExport, SourceImport};
use hw_compute::protocol::{CHANNEL_CONTROL, ComputeCommand, ComputeResponse, ShellRequest};
use hw_compute::server::{ComputeServer, Config};
use hw_compute::source::{Encoding, Half, PartBytes};
use hw_persist::{PartFilter, encode_part};
use hw_types::flat::Updates;
use hw_types::relation::{Column, RelationDesc};
use hw_types::row;
use hw_types::scalar::BaseType;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Probe;
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::progress::Antichain;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Updates in one part, as persist writes them.
const PART_LEN: u64 = 100_000;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Loads typed pairs from memory; returns the seconds.
fn typed(updates: u64, keys: u64, workers: usize) -> f64 {
    let start = Instant::now();
    let config = timely::Config::process(workers);
    let guards = timely::execute(config, move |worker| {
        type Update = ((u64, u64), u64, i64);
        let mut input = InputHandle::<u64, CapacityContainerBuilder<Vec<Update>>>::new_with_builder();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let by_key = Exchange::new(|update: &Update| update.0.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7);
            let batcher = OrdValBatcher::<u64, u64, u64, i64>::new;
            let stream = input.to_stream(scope);
            let arranged =
                arrange_core::<_, _, _, OrdValSpine<u64, u64, u64, i64>>(stream, by_key, "Typed", batcher);
            arranged.stream.probe_with(&probe);
        });
        let mut rng = Rng(88_172_645_463_325_252 + worker.index() as u64);
        for i in 0..updates / worker.peers() as u64 {
            input.send(((rng.next() % keys, rng.next()), 0, 1));
            if i % 65_536 == 0 {
                input.flush();
                worker.step();
            }
        }
        input.advance_to(1);
        input.flush();
        while probe.less_than(&1) {
            worker.step_or_park(None);
        }
    });
    drop(guards);
    start.elapsed().as_secs_f64()
}

#[derive(Default)]
struct Listener {
    uppers: Mutex<u64>,
    moved: Condvar,
}

impl Responder for Listener {
    fn respond(&self, channel: u8, payload: Bytes) {
        if channel != CHANNEL_CONTROL {
            return;
        }
        if let Ok(ComputeResponse::Frontiers { uppers }) = rmp_serde::from_slice(&payload) {
            let upper = uppers.iter().filter_map(|(_, upper)| *upper).max().unwrap_or(0);
            *self.uppers.lock().expect("no panics") = upper;
            self.moved.notify_all();
        }
    }
    fn shell(&self, _: ShellRequest) {}
}

fn desc() -> RelationDesc {
    let column = |name: &str, base: BaseType| Column { name: name.into(), ty: base.into(), nullable: false };
    RelationDesc {
        columns: vec![column("k", BaseType::Int8), column("v", BaseType::Uint8)],
        keys: vec![],
        added: vec![],
    }
}

fn parts(updates: u64, keys: u64, encoding: Encoding) -> (Vec<PartBytes>, usize) {
    let mut rng = Rng(88_172_645_463_325_252);
    let (mut parts, mut row_bytes) = (vec![], 0);
    for _ in 0..updates.div_ceil(PART_LEN) {
        let mut batch = Updates::new();
        for _ in 0..PART_LEN {
            let (key, value) = (rng.next() % keys, rng.next());
            batch.push_with(|out| (row::push_uint(out, key), row::push_uint(out, value)).0, 0, 1);
        }
        row_bytes += batch.row_bytes();
        let bytes = match encoding {
            Encoding::Flat => batch.encode().expect("small").into(),
            Encoding::Parquet => {
                encode_part(&desc(), hw_persist::Half::Ok, &batch).expect("typed rows").bytes.into()
            }
        };
        parts.push(PartBytes { encoding, half: Half::Ok, bytes, filter: PartFilter::default() });
    }
    (parts, row_bytes)
}

fn index() -> DataflowDescription {
    let key = vec![ScalarExpr::Column { index: 0 }];
    DataflowDescription {
        name: "load".into(),
        sources: vec![SourceImport {
            id: "a".into(),
            shard: "a".into(),
            desc: desc(),
            table: false,
            mfp: Some(Mfp::identity(2)),
            selection: None,
        }],
        logs: vec![],
        indexes: vec![],
        objects: vec![],
        index_exports: vec![IndexExport { id: "i".into(), on: "a".into(), key, arity: 2 }],
        sink_exports: vec![],
        as_of: Some(0),
        until: None,
    }
}

fn send(server: &ComputeServer, command: &ComputeCommand) {
    server.command(&rmp_serde::to_vec_named(command).expect("plain data")).expect("workers run");
}

/// Loads an index; returns the seconds and the bytes of all rows.
fn load(updates: u64, keys: u64, workers: usize, encoding: Encoding) -> (f64, usize) {
    let (parts, row_bytes) = parts(updates, keys, encoding);
    let listener = Arc::new(Listener::default());
    let config = Config { workers, process: 0, addresses: vec![] };
    let responder: Arc<dyn Responder> = Arc::<Listener>::clone(&listener);
    let server = ComputeServer::start(&config, responder).expect("threads");
    send(&server, &ComputeCommand::CreateDataflow { dataflow: Box::new(index()) });
    let start = Instant::now();
    server.feed(1, parts, Some(1)).expect("workers run");
    let mut upper = listener.uppers.lock().expect("no panics");
    while *upper < 1 {
        upper = listener.moved.wait(upper).expect("no panics");
    }
    drop(upper);
    let seconds = start.elapsed().as_secs_f64();
    (seconds, row_bytes)
}

/// Arranges the same rows without a server; returns the bytes an update that the arrangement holds.
fn arranged_bytes(updates: u64, keys: u64) -> f64 {
    let (parts, _) = parts(updates, keys, Encoding::Flat);
    timely::execute_directly(move |worker| {
        let mut input = InputHandle::<u64, FlatBuilder<u64>>::new_with_builder();
        let probe = ProbeHandle::new();
        let mut trace = worker.dataflow::<u64, _, _>(|scope| {
            let arranged = arrange(input.to_stream(scope), "Arrange");
            arranged.stream.probe_with(&probe);
            arranged.trace
        });
        for part in parts {
            for (row, time, diff) in Updates::decode(&part.bytes).expect("as encoded").iter() {
                let key_len = row::skip(row);
                input.send((&row[..key_len], &row[key_len..], &time, &diff));
            }
            input.flush();
            worker.step();
        }
        for time in 1..50 {
            input.advance_to(time);
            input.flush();
            while probe.less_than(&time) {
                worker.step_or_park(None);
            }
            trace.set_logical_compaction(Antichain::from_elem(time).borrow());
            trace.set_physical_compaction(Antichain::from_elem(time).borrow());
        }
        heap_bytes(&trace) as f64 / updates as f64
    })
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let updates = args.next().unwrap_or(5_000_000);
    let keys = args.next().unwrap_or(1_000_000);
    let workers = args.next().unwrap_or(1) as usize;
    let rate = |seconds: f64| updates as f64 / seconds / 1e6;
    let held = arranged_bytes(updates, keys);
    let typed = typed(updates, keys, workers);
    println!("typed (u64, u64): {:.2} M updates/s", rate(typed));
    for encoding in [Encoding::Flat, Encoding::Parquet] {
        let (seconds, row_bytes) = load(updates, keys, workers, encoding);
        let row = row_bytes as f64 / updates as f64;
        println!(
            "index from {encoding:?} parts: {:.2} M updates/s, {:.2} x typed; {held:.1} bytes an update, {:.2} x rows' {row:.1}",
            rate(seconds),
            typed / seconds,
            held / row,
        );
    }
}
