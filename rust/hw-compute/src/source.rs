//! Collections that come in from persist: parts are fed by the shell and decoded here, in worker threads.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use hw_persist::{PartFilter, visit_part};
use hw_types::relation::RelationDesc;
use hw_types::row;
use timely::dataflow::Scope;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::scheduling::Activator;

use crate::build::Moved;
use crate::container::{FlatBuilder, hash};
use crate::expr::Mfp;
use crate::plan::Frontier;
use crate::render::RenderError;
use crate::render::bundle::Mapper;
use crate::render::operators::{Halves, Out};

/// How a part's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The flat update codec.
    Flat,
    /// A Parquet object of `hw-persist`.
    Parquet,
}

impl Encoding {
    /// Its name in `hw-persist`.
    fn name(self) -> &'static str {
        match self {
            Encoding::Flat => "flat",
            Encoding::Parquet => "parquet",
        }
    }
}

/// Which half of a collection a part belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Rows.
    Ok,
    /// Errors.
    Err,
}

/// A part as the shell read it.
#[derive(Clone, Debug)]
pub struct PartBytes {
    /// How it is written.
    pub encoding: Encoding,
    /// Of which half.
    pub half: Half,
    /// The bytes.
    pub bytes: Bytes,
    /// Which of its updates count, and when.
    pub filter: PartFilter,
}

/// What waits for a source operator of one worker.
#[derive(Default)]
pub struct Feed {
    queue: VecDeque<Fed>,
    activator: Option<Activator>,
    failure: Option<String>,
    /// Whether nothing is read any more.
    closed: bool,
    upper: Frontier,
}

enum Fed {
    Part(PartBytes),
    Upper(Frontier),
}

/// A feed shared by the worker's loop and its operator.
pub type SharedFeed = Rc<RefCell<Feed>>;

impl Feed {
    /// Takes this worker's share of what the shell fed; `upper` holds once all of it is in.
    pub fn push(&mut self, parts: Vec<PartBytes>, upper: Frontier) {
        if self.closed {
            return;
        }
        self.queue.extend(parts.into_iter().map(Fed::Part));
        self.queue.push_back(Fed::Upper(upper));
        self.upper = upper;
        if let Some(activator) = &self.activator {
            activator.activate();
        }
    }
    /// All before it has been fed.
    pub fn upper(&self) -> Frontier {
        self.upper
    }
    /// Whether nothing is read any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
    /// Why the source stands still, if it does; said once.
    pub fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }
}

/// What a source does to rows as it reads them.
pub struct Reading<'a> {
    /// For people.
    pub name: &'a str,
    /// Older times are moved forward to it.
    pub as_of: u64,
    /// Not needed from here on: the source closes when its upper gets there.
    pub until: Option<u64>,
    /// The shard's columns.
    pub desc: &'a RelationDesc,
    /// Whether columns may be added to the shard, which are not of concern here.
    pub grows: bool,
    /// Applied to rows.
    pub mfp: Option<&'a Mfp>,
    /// This process and how many share the rows among them by hash; each is fed all.
    pub share: Option<(u64, u64)>,
}

/// Bytes of parts that a source reads before it lets others run, and at least one part. A commit may be a part
/// of a few rows: where they have queued up, one run of the dataflow for each costs more than what is in them.
const BYTES_A_TURN: usize = 256 << 10;

/// Makes the operator, and the feed that the worker's loop fills; `moved` is set where reading fails.
pub fn source<'s>(
    scope: Scope<'s, u64>,
    reading: &Reading<'_>,
    moved: &Moved,
) -> Result<(Halves<'s, u64>, SharedFeed), RenderError> {
    let feed = SharedFeed::default();
    feed.borrow_mut().upper = Some(reading.as_of);
    let mut reader = Reader {
        rows: Mapper::new(
            reading.mfp.unwrap_or(&Mfp::identity(reading.desc.arity())),
            reading.as_of,
            reading.until,
        )?,
        desc: reading.desc.clone(),
        errors: hw_persist::Half::Errors.desc(reading.desc),
        grows: reading.grows,
        room: Vec::new(),
        share: reading.share,
        as_of: reading.as_of,
    };
    let until = reading.until;
    let mut builder = OperatorBuilder::new(reading.name.to_owned(), scope);
    feed.borrow_mut().activator = Some(scope.activator_for(builder.operator_info().address));
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let mut oks = OutputBuilder::<u64, FlatBuilder<u64>>::from(oks);
    let mut errs = OutputBuilder::<u64, FlatBuilder<u64>>::from(errs);
    let (queue, moved) = (Rc::clone(&feed), Rc::clone(moved));
    builder.build(move |caps| {
        let mut caps: Option<[Capability<u64>; 2]> = caps.try_into().ok();
        let mut out = Out::default();
        move |_| {
            let mut feed = queue.borrow_mut();
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            let mut bytes = 0;
            while let Some(fed) = feed.queue.pop_front() {
                let Some([ok_cap, err_cap]) = &mut caps else { continue };
                match fed {
                    Fed::Part(part) => {
                        let mut session = oks.session(ok_cap);
                        let read = reader.read(&part, &mut out, |out| {
                            session.give_container(&mut out.oks);
                            out.oks.clear();
                        });
                        drop(session);
                        if !out.errs.is_empty() {
                            errs.session(err_cap).give_container(&mut out.errs);
                            out.errs.clear();
                        }
                        if let Err(error) = read {
                            // The frontier stays where it is: nothing wrong is ever said.
                            feed.failure = Some(error);
                            moved.set(true);
                            feed.queue.clear();
                            continue;
                        }
                        bytes += part.bytes.len();
                        if bytes >= BYTES_A_TURN {
                            if let Some(activator) = &feed.activator {
                                activator.activate();
                            }
                            break;
                        }
                    }
                    Fed::Upper(Some(upper)) if until.is_none_or(|until| upper < until) => {
                        if upper > *ok_cap.time() {
                            ok_cap.downgrade(&upper);
                            err_cap.downgrade(&upper);
                        }
                    }
                    Fed::Upper(_) => (caps, feed.closed) = (None, true),
                }
            }
        }
    });
    Ok((Halves { oks: ok_stream, errs: err_stream }, feed))
}

/// From parts to updates.
struct Reader {
    rows: Mapper,
    desc: RelationDesc,
    errors: RelationDesc,
    grows: bool,
    room: Vec<u8>,
    share: Option<(u64, u64)>,
    as_of: u64,
}

impl Reader {
    fn read(
        &mut self,
        part: &PartBytes,
        out: &mut Out<u64>,
        mut ship: impl FnMut(&mut Out<u64>),
    ) -> Result<(), String> {
        let desc = if part.half == Half::Ok { &self.desc } else { &self.errors };
        let fits = part.encoding == Encoding::Flat && part.half == Half::Ok && self.grows;
        let mut malformed = None;
        let visit = |row: &[u8], time: u64, diff: i64| {
            // Of rows that do not fit the check below says why.
            let row = if fits { desc.fit(row, &mut self.room).unwrap_or(row) } else { row };
            if self.share.is_some_and(|(mine, of)| (hash(row) >> 16) % of != mine) {
                return;
            }
            // Parquet columns are typed, and make well-formed rows or none.
            if part.encoding == Encoding::Flat
                && let Err(error) = row::check(row, desc.arity())
            {
                malformed = Some(error.to_string());
                return;
            }
            match part.half {
                Half::Ok => self.rows.map(row, &time, diff, out),
                Half::Err => out.errs.push(row, &[], time.max(self.as_of), diff),
            }
            if out.oks.is_full() {
                ship(out);
            }
        };
        let read = visit_part(desc, part.encoding.name(), &part.bytes, &part.filter, visit);
        if !out.oks.is_empty() {
            ship(out);
        }
        read.map_err(|error| error.to_string())?;
        malformed.map_or(Ok(()), Err)
    }
}
