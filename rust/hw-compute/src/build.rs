//! One dataflow from its description: imports, objects, exports.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_bytes::ByteBuf;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};

use crate::arrangement::arrange;
use crate::container::{RowStream, Time};
use crate::gather::{Gather, before};
use crate::inspect::{SharedErrors, SharedNodes, collect_errors};
use crate::logging::LogFeed;
use crate::maintained::{Hydration, ImportedFrom};
use crate::peek::Index;
use crate::plan::{
    DataflowDescription, GlobalId, IndexExport, IndexImport, LogImport, Sink, SinkExport, SourceImport,
};
use crate::protocol::ShellRequest;
use crate::render::bundle::{Arrangement, Bundle};
use crate::render::operators::{Halves, flat_map_arranged};
use crate::render::{Context, RenderError, render};
use crate::sink::materialized_view::{SharedCorrection, materialized_view};
use crate::sink::subscribe::{Subscribe, subscribe};
use crate::source::{Reading, SharedFeed, source};

/// Where this worker stands among all.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Which worker of its process.
    pub worker: usize,
    /// How many workers a process has.
    pub workers: usize,
    /// Which process.
    pub process: usize,
    /// How many processes.
    pub processes: usize,
}

impl Place {
    /// Whether this worker speaks for its process.
    pub fn speaks(&self) -> bool {
        self.worker == 0
    }
    /// Whether this process writes to shards.
    pub fn writes(&self) -> bool {
        self.process == 0
    }
}

/// Keeps a dataflow alive: its own registration has one, and so does every dataflow that imports from it.
pub type Alive = Rc<()>;

/// Whether anything has moved that the worker's loop reports: so that it need not look at every export
/// each time a peek wakes it.
pub type Moved = Rc<Cell<bool>>;

/// An exported index and the dataflow that maintains it.
pub struct Exported {
    /// The arrangements.
    pub index: Index,
    /// Its dataflow.
    pub alive: Alive,
    /// When it was first complete.
    pub hydration: Hydration,
}

/// What a dataflow can see, and where new tokens come from.
pub struct Surroundings<'a> {
    /// Indexes of other dataflows.
    pub indexes: &'a mut HashMap<GlobalId, Exported>,
    /// The next token; every worker counts alike, since commands come in order.
    pub next_token: &'a mut u64,
    /// Where we are.
    pub place: Place,
    /// Where subscriptions go.
    pub gather: &'a Arc<Gather>,
    /// Set by what has moved.
    pub moved: &'a Moved,
}

/// A sink that writes to a shard.
pub struct BuiltSink {
    /// By which it is fed and asked.
    pub token: u64,
    /// The export.
    pub id: GlobalId,
    /// Its state.
    pub correction: SharedCorrection,
}

/// What building a dataflow leaves.
#[derive(Default)]
pub struct Built {
    /// Indexes to publish.
    pub indexes: Vec<(GlobalId, Index)>,
    /// What is fed.
    pub feeds: Vec<(u64, SharedFeed)>,
    /// What is written.
    pub sinks: Vec<BuiltSink>,
    /// What the shell is asked.
    pub requests: Vec<ShellRequest>,
    /// Dataflows that this one reads from.
    pub imported: Vec<Alive>,
    /// What it reads.
    pub imports: Vec<(GlobalId, ImportedFrom)>,
    /// The logs it reads.
    pub logs: Vec<(u64, LogFeed)>,
    /// The nodes of its plans.
    pub nodes: SharedNodes,
    /// The errors of what it maintains.
    pub errors: Vec<(GlobalId, SharedErrors)>,
}

/// Builds a dataflow within `scope`.
pub fn build<'s>(
    scope: Scope<'s, u64>,
    description: &DataflowDescription,
    around: &mut Surroundings<'_>,
    built: &mut Built,
) -> Result<(), RenderError> {
    let as_of = description.as_of.ok_or_else(|| RenderError::Malformed("a dataflow without as_of".into()))?;
    let mut context = Context {
        scope,
        as_of,
        until: description.until,
        level: 0,
        globals: HashMap::new(),
        locals: HashMap::new(),
        nodes: Rc::clone(&built.nodes),
    };
    for import in &description.sources {
        import_source(&mut context, import, around, built)?;
    }
    for import in &description.logs {
        import_log(&mut context, import, around, built)?;
    }
    for import in &description.indexes {
        import_index(&mut context, import, around, built)?;
    }
    for object in &description.objects {
        context.nodes.borrow_mut().begin_object(&object.id);
        let bundle = render(&mut context, &object.plan)?;
        context.globals.insert(object.id.clone(), bundle);
    }
    for export in &description.index_exports {
        export_index(&mut context, export, around.moved, built)?;
    }
    for export in &description.sink_exports {
        export_sink(&context, export, around, built)?;
    }
    Ok(())
}

fn token(around: &mut Surroundings<'_>) -> u64 {
    *around.next_token += 1;
    *around.next_token
}

fn import_source(
    context: &mut Context<'_, u64>,
    import: &SourceImport,
    around: &mut Surroundings<'_>,
    built: &mut Built,
) -> Result<(), RenderError> {
    let token = token(around);
    let Place { process, processes, .. } = around.place;
    let reading = Reading {
        name: &format!("Source {}", import.id),
        as_of: context.as_of,
        until: context.until,
        desc: &import.desc,
        grows: import.table,
        mfp: import.mfp.as_ref(),
        share: (processes > 1).then_some((process as u64, processes as u64)),
    };
    let (halves, feed) = source(context.scope, &reading, around.moved)?;
    let arity = import.mfp.as_ref().map_or(import.desc.arity(), |mfp| mfp.output_arity());
    context.globals.insert(import.id.clone(), Bundle::of_rows(arity, halves.oks, vec![halves.errs]));
    built.feeds.push((token, feed));
    built.imports.push((import.id.clone(), ImportedFrom::Feed(token)));
    built.requests.push(ShellRequest::OpenSource {
        token,
        shard: import.shard.clone(),
        table: import.table,
        as_of: Some(context.as_of),
        until: context.until,
        selection: import.selection.clone(),
    });
    Ok(())
}

/// As a source that the worker feeds itself.
fn import_log(
    context: &mut Context<'_, u64>,
    import: &LogImport,
    around: &mut Surroundings<'_>,
    built: &mut Built,
) -> Result<(), RenderError> {
    let token = token(around);
    let reading = Reading {
        name: &format!("Log {}", import.id),
        as_of: context.as_of,
        until: context.until,
        desc: &import.desc,
        grows: false,
        mfp: import.mfp.as_ref(),
        share: None,
    };
    let (halves, feed) = source(context.scope, &reading, around.moved)?;
    let arity = import.mfp.as_ref().map_or(import.desc.arity(), |mfp| mfp.output_arity());
    context.globals.insert(import.id.clone(), Bundle::of_rows(arity, halves.oks, vec![halves.errs]));
    built.imports.push((import.id.clone(), ImportedFrom::Feed(token)));
    built.logs.push((token, LogFeed::new(import.log, Rc::clone(&feed), context.as_of)));
    built.feeds.push((token, feed));
    Ok(())
}

fn import_index<'s>(
    context: &mut Context<'s, u64>,
    import: &IndexImport,
    around: &mut Surroundings<'_>,
    built: &mut Built,
) -> Result<(), RenderError> {
    let missing = || RenderError::NoArrangement(format!("index {}", import.id));
    let exported = around.indexes.get_mut(&import.id).ok_or_else(missing)?;
    let index = &mut exported.index;
    if index.key != import.key || index.arity != import.arity {
        return Err(RenderError::Malformed(format!("index {} is by another key", import.id)));
    }
    let as_of = context.as_of;
    if before(Some(as_of), index.since) {
        return Err(RenderError::Malformed(format!(
            "index {} is compacted to {:?}, beyond the as_of {as_of}",
            import.id, index.since
        )));
    }
    let oks = index.oks.import_named(context.scope, &format!("Index {}", import.id));
    let errs = index.errs.import_named(context.scope, &format!("Index {} errors", import.id));
    let errs = flat_map_arranged(
        errs,
        "ImportErrors",
        None,
        Box::new(move |key, _, time: &u64, diff, out| out.oks.push(key, &[], time.advanced_to(as_of), diff)),
    );
    built.imported.push(Rc::clone(&exported.alive));
    built.imports.push((import.id.clone(), ImportedFrom::Index));
    let arrangement = (import.key.clone(), Arrangement::Here(oks));
    let bundle = context.globals.entry(import.on.clone()).or_insert_with(|| Bundle {
        arity: import.arity,
        rows: None,
        errs: vec![],
        arrangements: vec![],
    });
    // Several indexes on one relation hold the same errors: those of the first are enough.
    if bundle.errs.is_empty() {
        bundle.errs.push(errs.oks);
    }
    bundle.arrangements.push(arrangement);
    Ok(())
}

/// Sets `moved` whenever the frontier of `batches` moves; the trace they come from has moved before.
fn watch<C: timely::Container>(batches: Stream<'_, u64, C>, moved: Moved) {
    let mut builder = OperatorBuilder::new("Watch".into(), batches.scope());
    let mut input = builder.new_input(batches, Pipeline);
    builder.build(move |_| {
        move |_| {
            input.for_each(|_, _| ());
            moved.set(true);
        }
    });
}

fn bundle<'a, 's>(context: &'a Context<'s, u64>, id: &GlobalId) -> Result<&'a Bundle<'s, u64>, RenderError> {
    let unbound = || RenderError::Unbound(crate::plan::RelationId::Global { id: id.clone() });
    context.globals.get(id).ok_or_else(unbound)
}

fn export_index(
    context: &mut Context<'_, u64>,
    export: &IndexExport,
    moved: &Moved,
    built: &mut Built,
) -> Result<(), RenderError> {
    let mut source = bundle(context, &export.on)?.clone();
    context.nodes.borrow_mut().begin_object(&export.id);
    context.nodes.borrow_mut().begin("Index");
    let from = context.scope.worker().peek_identifier();
    source.arrange_by(&format!("Index {}", export.id), &export.key, context.times())?;
    let arranged = match source.arrangement(&export.key) {
        Some(Arrangement::Here(arranged)) => arranged,
        _ => return Err(RenderError::NoArrangement(format!("index {}", export.id))),
    };
    let errs = source.errors(context.scope);
    built.errors.push((export.id.clone(), collect_errors(errs.clone(), moved)));
    let errs = arrange(errs, &format!("Index {} errors", export.id));
    context.nodes.borrow_mut().end(from, context.scope.worker().peek_identifier());
    watch(arranged.stream, Rc::clone(moved));
    watch(errs.stream, Rc::clone(moved));
    let mut index = Index {
        oks: arranged.trace,
        errs: errs.trace,
        key: export.key.clone(),
        arity: export.arity,
        upper: Some(0),
        since: Some(0),
    };
    index.compact(context.as_of);
    context.globals.insert(export.on.clone(), source);
    built.indexes.push((export.id.clone(), index));
    Ok(())
}

fn export_sink(
    context: &Context<'_, u64>,
    export: &SinkExport,
    around: &mut Surroundings<'_>,
    built: &mut Built,
) -> Result<(), RenderError> {
    let from = bundle(context, &export.on)?;
    let oks: RowStream<'_, u64> = from.stream("Sink", context.times())?;
    let halves = Halves { oks, errs: from.errors(context.scope) };
    match &export.sink {
        Sink::Subscribe { with_snapshot } => {
            let wanted = Subscribe {
                id: export.id.clone(),
                as_of: context.as_of,
                until: context.until,
                with_snapshot: *with_snapshot,
            };
            subscribe(halves, wanted, around.place.worker, Arc::clone(around.gather));
        }
        Sink::MaterializedView { shard, desc } => {
            built.errors.push((export.id.clone(), collect_errors(halves.errs.clone(), around.moved)));
            let token = token(around);
            let name = format!("MaterializedView {}", export.id);
            // Old contents are compared at the as_of; they are read whole by the process that writes.
            let reading = Reading {
                name: &format!("{name} persisted"),
                as_of: context.as_of,
                until: None,
                desc,
                grows: false,
                mfp: None,
                share: None,
            };
            let (persisted, feed) = source(context.scope, &reading, around.moved)?;
            let writers = around.place.workers as u64;
            let correction =
                materialized_view(&name, halves, persisted, context.as_of, writers, around.moved);
            if around.place.writes() {
                let encoded = rmp_serde::to_vec_named(desc).expect("plain data always encodes");
                built.requests.push(ShellRequest::OpenSink {
                    token,
                    id: export.id.clone(),
                    shard: shard.clone(),
                    desc: ByteBuf::from(encoded),
                    as_of: Some(context.as_of),
                });
            } else {
                feed.borrow_mut().push(vec![], None);
            }
            built.feeds.push((token, feed));
            built.sinks.push(BuiltSink { token, id: export.id.clone(), correction });
        }
    }
    Ok(())
}
