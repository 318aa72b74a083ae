//! The loop of one worker thread: obey, step, answer, report, park.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use timely::progress::Antichain;
use timely::worker::Worker as TimelyWorker;

use crate::build::{Alive, Built, Exported, Moved, Place, Surroundings, build};
use crate::check::check;
use crate::gather::{Gather, before};
use crate::inspect::{arrangement_sizes, report};
use crate::logging::Logs;
use crate::logging::events::Events;
use crate::logging::rows::Sight;
use crate::maintained::{Dataflow, Hydration, SinkEntry};
use crate::peek::Peeks;
use crate::plan::{DataflowDescription, Frontier, GlobalId};
use crate::protocol::{ComputeCommand, ComputeResponse, ShellRequest};
use crate::render::RenderError;
use crate::source::{PartBytes, SharedFeed};

/// What a worker is told.
pub enum WorkerCommand {
    /// By the controller.
    Compute(Arc<ComputeCommand>),
    /// By the shell: this worker's share of what was read from a shard.
    Feed {
        /// Which source or sink.
        token: u64,
        /// The share.
        parts: Vec<PartBytes>,
        /// Holds once all workers have their share.
        upper: Frontier,
    },
    /// By the shell: give a batch to write.
    Write {
        /// Which sink.
        token: u64,
        /// From when.
        lower: Frontier,
        /// Until when.
        upper: Frontier,
    },
    /// Stop.
    Shutdown,
}

/// One worker's part of everything.
struct Worker<'t> {
    timely: &'t mut TimelyWorker,
    events: Rc<RefCell<Events>>,
    place: Place,
    gather: Arc<Gather>,
    dataflows: Vec<Dataflow>,
    indexes: HashMap<GlobalId, Exported>,
    feeds: HashMap<u64, SharedFeed>,
    sinks: HashMap<u64, SinkEntry>,
    peeks: Peeks,
    logs: Logs,
    began: Instant,
    next_token: u64,
    scratch: Antichain<u64>,
    /// Whether there may be something to report.
    moved: Moved,
}

/// Commands obeyed before the dataflows get to run again.
const COMMANDS_A_ROUND: usize = 1024;

/// Runs until told to stop.
pub fn run(timely: &mut TimelyWorker, place: Place, commands: &Receiver<WorkerCommand>, gather: Arc<Gather>) {
    let events = Events::of(timely);
    let mut worker = Worker {
        timely,
        events,
        place,
        gather,
        dataflows: vec![],
        indexes: HashMap::new(),
        feeds: HashMap::new(),
        sinks: HashMap::new(),
        peeks: Peeks::default(),
        logs: Logs::default(),
        began: Instant::now(),
        next_token: 0,
        scratch: Antichain::new(),
        moved: Moved::default(),
    };
    loop {
        let mut obeyed = 0;
        for command in commands.try_iter().take(COMMANDS_A_ROUND) {
            if !worker.obey(command) {
                worker.stop();
                return;
            }
            obeyed += 1;
        }
        if worker.moved.replace(false) {
            worker.report();
        }
        if !worker.peeks.is_empty() {
            let indexes = &worker.indexes;
            worker.peeks.serve(|id| indexes.get(id).map(|exported| &exported.index), &worker.gather);
        }
        let due_in = [worker.gather.flush(), worker.log()].into_iter().flatten().min();
        if obeyed == COMMANDS_A_ROUND {
            worker.timely.step();
        } else {
            // Parks only where nothing is to be done; whoever sends a command unparks.
            worker.timely.step_or_park(due_in);
        }
    }
}

impl Worker<'_> {
    /// False where it is the end.
    fn obey(&mut self, command: WorkerCommand) -> bool {
        match command {
            WorkerCommand::Shutdown => return false,
            WorkerCommand::Feed { token, parts, upper } => {
                if let Some(feed) = self.feeds.get(&token) {
                    feed.borrow_mut().push(parts, upper);
                }
            }
            WorkerCommand::Write { token, lower, upper } => {
                if let Some(sink) = self.sinks.get(&token) {
                    sink.built.correction.borrow_mut().write(lower, upper);
                    self.moved.set(true);
                }
            }
            WorkerCommand::Compute(command) => self.obey_controller(&command),
        }
        true
    }
    fn obey_controller(&mut self, command: &ComputeCommand) {
        match command {
            ComputeCommand::CreateDataflow { dataflow } => self.create(dataflow),
            ComputeCommand::AllowCompaction { id, since: None } => self.drop_export(id),
            ComputeCommand::AllowCompaction { id, since: Some(since) } => {
                if let Some(exported) = self.indexes.get_mut(id) {
                    exported.index.compact(*since);
                }
            }
            ComputeCommand::Peek(peek) => {
                let index = self.indexes.get(&peek.target).map(|exported| &exported.index);
                self.peeks.add((**peek).clone(), index, &self.gather);
            }
            ComputeCommand::Inspect { token } => self.inspect(*token),
            ComputeCommand::CancelPeek { uuid } => self.peeks.cancel(uuid, &self.gather),
            // Dataflows not in the history were never made here: a reset is a new process.
            ComputeCommand::InitializationComplete {} => {}
        }
    }
    /// Says what the dataflows have cost.
    fn inspect(&self, token: u64) {
        let (sizes, events) = (arrangement_sizes(), self.events.borrow());
        let of = |dataflow: &Dataflow| {
            let export = dataflow.exports.iter().min().cloned().unwrap_or_default();
            report(&export, &dataflow.nodes.borrow(), &events, &sizes)
        };
        let nodes = self.dataflows.iter().flat_map(of).collect();
        let Place { worker, workers, process, processes } = self.place;
        self.gather.say(&ComputeResponse::Inspected {
            token,
            worker: process * workers + worker,
            workers: processes * workers,
            nodes,
        });
    }
    /// Tells the logs that are read what has changed, where it is time; returns how long until it is again.
    fn log(&mut self) -> Option<Duration> {
        let due_in = self.logs.due_in()?;
        if !due_in.is_zero() {
            return Some(due_in);
        }
        let mut logs = std::mem::take(&mut self.logs);
        self.with_sight(|sight| logs.tell(sight));
        self.logs = logs;
        self.logs.due_in()
    }
    fn with_sight<R>(&self, see: impl FnOnce(&Sight<'_>) -> R) -> R {
        if let Some(mut register) = self.timely.log_register() {
            register.flush(); // what timely has not said yet
        }
        see(&Sight {
            place: self.place,
            began: self.began,
            dataflows: &self.dataflows,
            indexes: &self.indexes,
            sinks: &self.sinks,
            feeds: &self.feeds,
            peeks: &self.peeks,
            events: &self.events.borrow(),
        })
    }
    fn create(&mut self, description: &DataflowDescription) {
        if let Err(error) = check(description) {
            return self.refuse(description, &error);
        }
        let logs = description.logs.iter().map(|import| import.log);
        let known = if description.logs.is_empty() {
            HashMap::new()
        } else {
            self.with_sight(|sight| logs.map(|log| (log, sight.rows(log))).collect())
        };
        let index = self.timely.next_dataflow_index();
        let mut built = Built::default();
        let mut around = Surroundings {
            indexes: &mut self.indexes,
            next_token: &mut self.next_token,
            place: self.place,
            gather: &self.gather,
            moved: &self.moved,
        };
        let result = self.timely.dataflow_named::<u64, _, _>(&description.name, |scope| {
            build(scope, description, &mut around, &mut built)
        });
        if let Err(error) = result {
            drop(built);
            self.timely.drop_dataflow(index);
            return self.refuse(description, &error);
        }
        let (alive, hydration) = (Alive::default(), Hydration::begin(description.as_of.unwrap_or(0)));
        for (id, index) in built.indexes {
            self.indexes.insert(id, Exported { index, alive: Rc::clone(&alive), hydration });
        }
        let sinks: Vec<u64> = built.sinks.iter().map(|sink| sink.token).collect();
        let logs: Vec<u64> = built.logs.iter().map(|log| log.0).collect();
        let of_others = |token: &u64| sinks.contains(token) || logs.contains(token);
        let sources = built.feeds.iter().map(|feed| feed.0).filter(|token| !of_others(token)).collect();
        self.feeds.extend(built.feeds);
        self.sinks.extend(
            built.sinks.into_iter().map(|built| (built.token, SinkEntry { built, said: Some(0), hydration })),
        );
        self.dataflows.push(Dataflow {
            index,
            exports: description.exports().cloned().collect(),
            objects: description.all_ids().cloned().collect(),
            imports: built.imports,
            sources,
            sinks,
            logs,
            alive,
            nodes: built.nodes,
            errors: built.errors,
            _imported: built.imported,
        });
        self.logs.begin(built.logs, &known);
        if self.place.speaks() {
            built.requests.into_iter().for_each(|request| self.gather.shell(request));
        }
    }
    fn refuse(&self, description: &DataflowDescription, error: &RenderError) {
        if self.place.speaks() {
            for id in description.exports() {
                self.gather.failed(id.clone(), error.to_string());
            }
        }
    }
    fn drop_export(&mut self, id: &GlobalId) {
        self.indexes.remove(id);
        self.gather.forget(id);
        self.peeks.drop_index(id, &self.gather);
        for dataflow in &mut self.dataflows {
            dataflow.exports.remove(id);
        }
        self.drop_unused();
    }
    /// Drops the dataflows that export nothing and that none reads from; that may free others.
    fn drop_unused(&mut self) {
        let unused =
            |dataflow: &Dataflow| dataflow.exports.is_empty() && Rc::strong_count(&dataflow.alive) == 1;
        while let Some(at) = self.dataflows.iter().position(unused) {
            let dataflow = self.dataflows.remove(at);
            self.timely.drop_dataflow(dataflow.index);
            for token in dataflow.sources {
                self.feeds.remove(&token);
                if self.place.speaks() {
                    self.gather.shell(ShellRequest::CloseSource { token });
                }
            }
            self.logs.end(&dataflow.logs);
            for token in dataflow.logs {
                self.feeds.remove(&token);
            }
            for token in dataflow.sinks {
                self.feeds.remove(&token);
                self.sinks.remove(&token);
                self.gather.forget_sink(token);
                if self.place.speaks() && self.place.writes() {
                    self.gather.shell(ShellRequest::CloseSink { token });
                }
            }
        }
    }
    /// Says what has moved: uppers of indexes, what sinks know, batches to be written, failures.
    fn report(&mut self) {
        let worker = self.place.worker;
        for (id, exported) in &mut self.indexes {
            let before_now = exported.index.upper;
            let upper = exported.index.refresh(&mut self.scratch);
            if upper != before_now {
                exported.hydration.reached(upper);
                self.gather.advance(worker, id, upper);
            }
        }
        for sink in self.sinks.values_mut() {
            let mut correction = sink.built.correction.borrow_mut();
            let desired = correction.desired();
            if before(sink.said, desired) {
                sink.said = desired;
                sink.hydration.reached(desired);
                self.gather.advance(worker, &sink.built.id, desired);
                if self.place.writes() {
                    self.gather.desired(worker, sink.built.token, desired);
                }
            }
            while let Some((lower, upper, oks, errs)) = correction.next_batch() {
                self.gather.batch(sink.built.token, lower, upper, &oks, &errs);
            }
        }
        let place = self.place;
        for (id, errors) in self.dataflows.iter().flat_map(|dataflow| &dataflow.errors) {
            if let Some((errors, total)) = errors.take() {
                let worker = place.process * place.workers + place.worker;
                self.gather.say(&ComputeResponse::Errors { id: id.clone(), worker, errors, total });
            }
        }
        for (token, feed) in &self.feeds {
            if let Some(failure) = feed.borrow_mut().take_failure() {
                self.fail(*token, &failure);
            }
        }
    }
    fn fail(&self, token: u64, failure: &str) {
        let reads =
            |dataflow: &&Dataflow| dataflow.sources.contains(&token) || dataflow.sinks.contains(&token);
        for id in self.dataflows.iter().find(reads).into_iter().flat_map(|dataflow| &dataflow.exports) {
            self.gather.failed(id.clone(), format!("a part of its input is unreadable: {failure}"));
        }
    }
    /// Drops everything, so that timely's threads end.
    fn stop(&mut self) {
        self.indexes.clear();
        self.feeds.clear();
        self.sinks.clear();
        self.dataflows.clear();
        for index in self.timely.installed_dataflows() {
            self.timely.drop_dataflow(index);
        }
    }
}
