//! The rows of each log, as they are now.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hw_types::container::push_end;
use hw_types::datum::{Datum, List, Map};
use hw_types::row::{pack, push_datum};

use super::Log;
use super::events::{Channel, Events, Messages, Operator};
use crate::arrangement::sizes::{self, Size};
use crate::build::{Exported, Place};
use crate::maintained::{Dataflow, Hydration, ImportedFrom, SinkEntry};
use crate::peek::Peeks;
use crate::plan::{Frontier, GlobalId};
use crate::source::SharedFeed;

/// Rows and how often each is there.
pub type Counted = HashMap<Vec<u8>, i64>;

/// All that a worker knows of itself.
pub struct Sight<'a> {
    /// Where it is.
    pub place: Place,
    /// When its process began to compute.
    pub began: Instant,
    /// Its dataflows.
    pub dataflows: &'a [Dataflow],
    /// Their indexes,
    pub indexes: &'a HashMap<GlobalId, Exported>,
    /// sinks,
    pub sinks: &'a HashMap<u64, SinkEntry>,
    /// and what they are fed.
    pub feeds: &'a HashMap<u64, SharedFeed>,
    /// Its peeks.
    pub peeks: &'a Peeks,
    /// What timely said.
    pub events: &'a Events,
}

fn uint(value: usize) -> Datum<'static> {
    Datum::uint(value as u64)
}

fn ns(duration: Duration) -> Datum<'static> {
    Datum::uint(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

fn one<'d>(datums: impl IntoIterator<Item = Datum<'d>>) -> (Vec<u8>, i64) {
    (pack(datums), 1)
}

impl Sight<'_> {
    /// The rows of `log`, in the order of the columns of its relation.
    pub fn rows(&self, log: Log) -> Counted {
        let mut counted = Counted::new();
        for (row, count) in self.list(log) {
            *counted.entry(row).or_insert(0) += count;
        }
        counted.retain(|_, count| *count != 0);
        counted
    }
    fn list(&self, log: Log) -> Vec<(Vec<u8>, i64)> {
        match log {
            Log::ActivePeeks => self.active_peeks(),
            Log::ArrangementBatches => self.sizes(|size| size.batches),
            Log::ArrangementRecords => self.sizes(|size| size.records),
            Log::ArrangementHeapSize => self.sizes(|size| size.bytes),
            Log::ArrangementHeapCapacity => self.sizes(|size| size.capacity),
            Log::ArrangementHeapAllocations => self.sizes(|size| size.allocations),
            Log::ArrangementSharing => self.sizes(|size| size.readers),
            Log::BatcherRecords => self.batchers(|size| size.records),
            Log::BatcherSize => self.batchers(|size| size.bytes),
            Log::BatcherCapacity => self.batchers(|size| size.capacity),
            Log::BatcherAllocations => self.batchers(|size| size.allocations),
            Log::Channels => self.channels(),
            Log::DataflowGlobalIds => self.global_ids(),
            Log::DataflowAddresses => self.addresses(),
            Log::ErrorCounts => self.error_counts(),
            Log::Exports => self.exports(),
            Log::Frontiers => self.frontiers(),
            Log::HydrationTimes => self.hydration_times(),
            Log::ImportFrontiers => self.import_frontiers(),
            Log::LirMapping => self.lir_mapping(),
            Log::MessageBatchCountsReceived => self.messages(|messages| messages.batches_received),
            Log::MessageBatchCountsSent => self.messages(|messages| messages.batches_sent),
            Log::MessageCountsReceived => self.messages(|messages| messages.received),
            Log::MessageCountsSent => self.messages(|messages| messages.sent),
            Log::OperatorDurations => self.operator_durations(),
            Log::OperatorHydrationStatuses => self.operator_hydration(),
            Log::Operators => self.operators(),
            Log::PeekDurations => self.peek_durations(),
            Log::PrometheusMetrics => self.metrics(),
            Log::SchedulingElapsed => self.elapsed(),
            Log::SchedulingParks => self.parks(),
        }
    }
    fn worker(&self) -> Datum<'static> {
        uint(self.place.process * self.place.workers + self.place.worker)
    }
    fn sizes(&self, count: impl Fn(&Size) -> usize) -> Vec<(Vec<u8>, i64)> {
        let row = |(operator, size): (usize, Size)| {
            (pack([uint(operator), self.worker()]), i64::try_from(count(&size)).unwrap_or(i64::MAX))
        };
        sizes::all().into_iter().map(row).collect()
    }
    fn batchers(&self, count: impl Fn(&Size) -> usize) -> Vec<(Vec<u8>, i64)> {
        let row = |(operator, size): (usize, Size)| {
            (pack([uint(operator), self.worker()]), i64::try_from(count(&size)).unwrap_or(i64::MAX))
        };
        sizes::batchers().into_iter().map(row).collect()
    }
    fn active_peeks(&self) -> Vec<(Vec<u8>, i64)> {
        let peeks = self.peeks.waiting().map(|peek| {
            let mut uuid = [0; 16];
            uuid.iter_mut().zip(peek.uuid.iter()).for_each(|(to, from)| *to = *from);
            let (target, time) = (Datum::Text(&peek.target), Datum::uint(peek.timestamp));
            one([Datum::Uuid(uuid), self.worker(), target, Datum::Text("index"), time])
        });
        peeks.collect()
    }
    fn peek_durations(&self) -> Vec<(Vec<u8>, i64)> {
        let buckets = self.peeks.durations().buckets();
        let row = |(ns, count)| (pack([self.worker(), Datum::Text("index"), Datum::uint(ns)]), count);
        buckets.map(row).collect()
    }
    fn operators(&self) -> Vec<(Vec<u8>, i64)> {
        let operators = self.events.operators.iter();
        operators.map(|(id, known)| one([uint(*id), self.worker(), Datum::Text(&known.name)])).collect()
    }
    fn addresses(&self) -> Vec<(Vec<u8>, i64)> {
        let operators = self.events.operators.iter().map(|(id, operator)| (id, &operator.address));
        let channels = self.events.channels.iter().map(|(id, channel)| (id, &channel.scope));
        let row = |(id, address): (&usize, &Vec<usize>)| {
            let mut list = vec![];
            address.iter().for_each(|step| push_datum(&mut list, uint(*step)));
            push_end(&mut list);
            one([uint(*id), self.worker(), Datum::List(List(&list))])
        };
        operators.chain(channels).map(row).collect()
    }
    fn channels(&self) -> Vec<(Vec<u8>, i64)> {
        let row = |(id, channel): (&usize, &Channel)| {
            let (from, to) = (channel.source, channel.target);
            let ends = [from.0, from.1, to.0, to.1].map(uint);
            let kind = Datum::Text(&channel.kind);
            one([uint(*id), self.worker()].into_iter().chain(ends).chain([kind]))
        };
        self.events.channels.iter().map(row).collect()
    }
    fn messages(&self, count: impl Fn(&Messages) -> i64) -> Vec<(Vec<u8>, i64)> {
        let of = |(id, channel): (&usize, &Channel)| -> Vec<_> {
            let pairs = channel.messages.iter();
            let row = |((from, to), known): (&(usize, usize), &Messages)| {
                (pack([uint(*id), uint(*from), uint(*to)]), count(known))
            };
            pairs.map(row).collect()
        };
        self.events.channels.iter().flat_map(of).collect()
    }
    fn elapsed(&self) -> Vec<(Vec<u8>, i64)> {
        let row = |(id, operator): (&usize, &Operator)| {
            let elapsed = i64::try_from(operator.elapsed.as_nanos()).unwrap_or(i64::MAX);
            (pack([uint(*id), self.worker()]), elapsed)
        };
        self.events.operators.iter().map(row).collect()
    }
    fn operator_durations(&self) -> Vec<(Vec<u8>, i64)> {
        let of = |(id, operator): (&usize, &Operator)| -> Vec<_> {
            let buckets = operator.durations.buckets();
            buckets.map(|(ns, count)| (pack([uint(*id), self.worker(), Datum::uint(ns)]), count)).collect()
        };
        self.events.operators.iter().flat_map(of).collect()
    }
    fn parks(&self) -> Vec<(Vec<u8>, i64)> {
        let row = |((slept, wanted), count): (&(u64, Option<u64>), &i64)| {
            // Where nothing is to be done at any known time a sleep has no end: as long as can be said.
            let wanted = Datum::uint(wanted.unwrap_or(u64::MAX));
            (pack([self.worker(), Datum::uint(*slept), wanted]), *count)
        };
        self.events.parks.iter().map(row).collect()
    }
    fn exports(&self) -> Vec<(Vec<u8>, i64)> {
        let of = |dataflow: &Dataflow| -> Vec<_> {
            let row = |id: &GlobalId| one([Datum::Text(id), self.worker(), uint(dataflow.index)]);
            dataflow.exports.iter().map(row).collect()
        };
        self.dataflows.iter().flat_map(of).collect()
    }
    fn global_ids(&self) -> Vec<(Vec<u8>, i64)> {
        let of = |dataflow: &Dataflow| -> Vec<_> {
            let row = |id: &GlobalId| one([uint(dataflow.index), self.worker(), Datum::Text(id)]);
            dataflow.objects.iter().map(row).collect()
        };
        self.dataflows.iter().flat_map(of).collect()
    }
    /// The upper of an index or sink, and its hydration; nothing is known of subscriptions.
    fn progress(&self, export: &GlobalId) -> Option<(Frontier, &Hydration)> {
        let index = self.indexes.get(export).map(|exported| (exported.index.upper, &exported.hydration));
        let sink = || self.sinks.values().find(|sink| sink.built.id == *export);
        index.or_else(|| sink().map(|sink| (sink.said, &sink.hydration)))
    }
    /// Of each export whose progress is known.
    fn of_exports<'s>(&'s self, mut row: impl FnMut(&'s Dataflow, &'s GlobalId, Frontier, &'s Hydration)) {
        for dataflow in self.dataflows {
            for export in &dataflow.exports {
                if let Some((upper, hydration)) = self.progress(export) {
                    row(dataflow, export, upper, hydration);
                }
            }
        }
    }
    fn frontiers(&self) -> Vec<(Vec<u8>, i64)> {
        let mut rows = vec![];
        self.of_exports(|_, export, upper, _| {
            // What is complete for ever has no frontier.
            rows.extend(upper.map(|upper| one([Datum::Text(export), self.worker(), Datum::uint(upper)])));
        });
        rows
    }
    fn import_frontiers(&self) -> Vec<(Vec<u8>, i64)> {
        let upper_of = |import: &GlobalId, from: ImportedFrom| match from {
            ImportedFrom::Feed(token) => self.feeds.get(&token).and_then(|feed| feed.borrow().upper()),
            ImportedFrom::Index => self.indexes.get(import).and_then(|exported| exported.index.upper),
        };
        let of = |dataflow: &Dataflow| -> Vec<_> {
            let mut rows = vec![];
            for export in &dataflow.exports {
                for (import, from) in &dataflow.imports {
                    let ids = [Datum::Text(export), Datum::Text(import), self.worker()];
                    let upper = upper_of(import, *from).map(Datum::uint);
                    rows.extend(upper.map(|upper| one(ids.into_iter().chain([upper]))));
                }
            }
            rows
        };
        self.dataflows.iter().flat_map(of).collect()
    }
    fn hydration_times(&self) -> Vec<(Vec<u8>, i64)> {
        let mut rows = vec![];
        self.of_exports(|_, export, _, hydration| {
            let took = hydration.took().map_or(Datum::Null, ns);
            rows.push(one([Datum::Text(export), self.worker(), took]));
        });
        rows
    }
    fn operator_hydration(&self) -> Vec<(Vec<u8>, i64)> {
        let mut rows = vec![];
        self.of_exports(|dataflow, export, _, hydration| {
            let hydrated = Datum::bool(hydration.took().is_some());
            for node in dataflow.nodes.borrow().ranges() {
                rows.push(one([Datum::Text(export), Datum::uint(node.node), self.worker(), hydrated]));
            }
        });
        rows.sort_unstable();
        rows.dedup();
        rows
    }
    fn lir_mapping(&self) -> Vec<(Vec<u8>, i64)> {
        let of = |dataflow: &Dataflow| -> Vec<_> {
            let nodes = dataflow.nodes.borrow();
            let row = |node: &crate::inspect::Range| {
                let parent = node.parent.map_or(Datum::Null, Datum::uint);
                one([
                    Datum::Text(&node.object),
                    Datum::uint(node.node),
                    self.worker(),
                    Datum::Text(&node.operator),
                    parent,
                    uint(node.nesting),
                    uint(node.own),
                    uint(node.to),
                ])
            };
            nodes.ranges().map(row).collect()
        };
        self.dataflows.iter().flat_map(of).collect()
    }
    fn error_counts(&self) -> Vec<(Vec<u8>, i64)> {
        let of = |dataflow: &Dataflow| -> Vec<_> {
            let counts = dataflow.errors.iter().map(|(export, errors)| (export, errors.count()));
            let row = |(export, count): (&GlobalId, i64)| {
                one([Datum::Text(export), self.worker(), Datum::Int(count)])
            };
            counts.filter(|(_, count)| *count != 0).map(row).collect()
        };
        self.dataflows.iter().flat_map(of).collect()
    }
    /// Of the process, told by its first worker.
    fn metrics(&self) -> Vec<(Vec<u8>, i64)> {
        if !self.place.speaks() {
            return vec![];
        }
        let no_labels = {
            let mut map = vec![];
            push_end(&mut map);
            map
        };
        let row = |(name, kind, value, help): (&str, &str, f64, &str)| {
            let labels = Datum::Map(Map(&no_labels));
            let (name, kind, help) = (Datum::Text(name), Datum::Text(kind), Datum::Text(help));
            one([uint(self.place.process), name, kind, labels, Datum::Float8(value), help])
        };
        self.measured().into_iter().map(row).collect()
    }
    fn measured(&self) -> Vec<(&'static str, &'static str, f64, &'static str)> {
        let sizes = sizes::all();
        let total = |count: fn(&Size) -> usize| sizes.values().map(count).sum::<usize>() as f64;
        vec![
            ("hw_compute_workers", "gauge", self.place.workers as f64, "Worker threads of the process."),
            ("hw_compute_dataflows", "gauge", self.dataflows.len() as f64, "Dataflows of the process."),
            ("hw_compute_uptime_seconds", "gauge", self.began.elapsed().as_secs_f64(), "Since it began."),
            (
                "hw_compute_worker_records",
                "gauge",
                total(|size| size.records),
                "Updates of its first worker.",
            ),
            ("hw_compute_worker_bytes", "gauge", total(|size| size.bytes), "Bytes of its first worker."),
        ]
    }
}
