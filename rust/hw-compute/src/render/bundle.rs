//! What a name stands for while a dataflow is rendered: a raw stream, errors, and arrangements.

use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::wrappers::enter::TraceEnter;
use timely::dataflow::Scope;
use timely::dataflow::operators::core::Concatenate;
use timely::progress::timestamp::Refines;

use super::RenderError;
use super::join::{JoinLogic, join};
use super::operators::{Halves, Logic, Out, flat_map, flat_map_arranged};
use super::thinning::{Picker, Restorer, Splitter};
use crate::arrangement::{RowArranged, RowTrace, arrange};
use crate::container::{Flat, RowStream, Time};
use crate::expr::{Mfp, MfpPlan, ScalarExpr, Scratch, mfp_can_fail};
use crate::plan::ArrangementKey;

/// An arrangement made or imported in this scope, or brought in from the outer one without copying.
pub enum Arrangement<'s, T: Time + Refines<u64>> {
    /// Of this scope.
    Here(RowArranged<'s, T>),
    /// Of the outer scope.
    Entered(Arranged<'s, TraceEnter<RowTrace<u64>, T>>),
}

impl<'s, T: Time + Refines<u64>> Clone for Arrangement<'s, T> {
    fn clone(&self) -> Self {
        match self {
            Arrangement::Here(arranged) => Arrangement::Here(arranged.clone()),
            Arrangement::Entered(arranged) => Arrangement::Entered(arranged.clone()),
        }
    }
}

impl<'s, T: Time + Refines<u64>> Arrangement<'s, T> {
    /// Applies `logic` to each update, or to those of the keys `lookups`.
    pub fn flat_map(self, name: &str, lookups: Option<Vec<Vec<u8>>>, logic: Logic<T>) -> Halves<'s, T> {
        match self {
            Arrangement::Here(arranged) => flat_map_arranged(arranged, name, lookups, logic),
            Arrangement::Entered(arranged) => flat_map_arranged(arranged, name, lookups, logic),
        }
    }
    /// Joins two arrangements by equal keys.
    pub fn join(
        self,
        other: Self,
        name: &str,
        fallible: bool,
        logic: JoinLogic<T>,
    ) -> (RowStream<'s, T>, Option<RowStream<'s, T>>) {
        use Arrangement::{Entered, Here};
        match (self, other) {
            (Here(a), Here(b)) => join(a, b, name, fallible, logic),
            (Here(a), Entered(b)) => join(a, b, name, fallible, logic),
            (Entered(a), Here(b)) => join(a, b, name, fallible, logic),
            (Entered(a), Entered(b)) => join(a, b, name, fallible, logic),
        }
    }
}

/// Applies an MFP to full rows and writes what comes of them, temporal bounds included.
pub struct Mapper {
    plan: MfpPlan,
    /// Instead of the plan, where it but projects: bytes are copied undecoded.
    project: Option<Picker>,
    scratch: Scratch,
    temporal: bool,
    as_of: u64,
    until: Option<u64>,
}

impl Mapper {
    /// Compiles `mfp`. Times are moved forward to `as_of`, and updates from `until` on left out.
    pub fn new(mfp: &Mfp, as_of: u64, until: Option<u64>) -> Result<Self, RenderError> {
        let plan = mfp.compile()?;
        let only_projects = mfp.expressions.is_empty() && mfp.predicates.is_empty() && !mfp.is_temporal();
        let columns = mfp.projection.iter().map(|index| ScalarExpr::Column { index: *index });
        let project = (only_projects && !plan.is_identity())
            .then(|| Picker::new(&columns.collect::<Vec<_>>(), mfp.input_arity))
            .transpose()?;
        Ok(Mapper { temporal: plan.is_temporal(), plan, project, scratch: Scratch::new(), as_of, until })
    }
    /// Whether rows pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.plan.is_identity()
    }
    /// Maps one update of a full row.
    #[inline]
    pub fn map<T: Time>(&mut self, row: &[u8], time: &T, diff: i64, out: &mut Out<T>) {
        let time = time.advanced_to(self.as_of);
        if self.until.is_some_and(|until| until <= time.outer()) {
            return;
        }
        if self.temporal {
            return self.map_temporal(row, time, diff, out);
        }
        let tail = out.oks.tail();
        let evaluated = match &mut self.project {
            Some(picker) => picker.pick(row, tail).map(|()| true),
            None => self.plan.evaluate_row(row, &mut self.scratch, tail),
        };
        match evaluated {
            Ok(true) => {
                let end = tail.len();
                out.oks.seal(end, time, diff);
            }
            Ok(false) => out.oks.abandon(),
            Err(error) => {
                out.oks.abandon();
                out.error(&error, time, diff);
            }
        }
    }
    /// The row comes at its lower bound and goes at its upper: two updates, maybe in the future, where
    /// the next batcher keeps them.
    fn map_temporal<T: Time>(&mut self, row: &[u8], time: T, diff: i64, out: &mut Out<T>) {
        let mut mapped = vec![];
        match self.plan.evaluate_row_temporal(row, &mut self.scratch, &mut mapped) {
            Ok(Some(validity)) => {
                let lower = validity.lower.max(time.outer());
                if validity.upper.is_some_and(|upper| upper <= lower) {
                    return;
                }
                let ends = [(Some(lower), diff), (validity.upper, -diff)];
                for (bound, diff) in ends {
                    let Some(bound) = bound.filter(|bound| self.until.is_none_or(|until| *bound < until))
                    else {
                        continue;
                    };
                    out.oks.push(&mapped, &[], time.advanced_to(bound), diff);
                }
            }
            Ok(None) => {}
            Err(error) => out.error(&error, time, diff),
        }
    }
}

/// A collection: rows, errors, and arrangements of the rows.
pub struct Bundle<'s, T: Time + Refines<u64>> {
    /// The columns.
    pub arity: usize,
    /// The raw stream (rows as keys, vals empty), where there is one.
    pub rows: Option<RowStream<'s, T>>,
    /// Streams of errors, to be added.
    pub errs: Vec<RowStream<'s, T>>,
    /// Arrangements by key.
    pub arrangements: Vec<(ArrangementKey, Arrangement<'s, T>)>,
}

impl<'s, T: Time + Refines<u64>> Clone for Bundle<'s, T> {
    fn clone(&self) -> Self {
        Bundle {
            arity: self.arity,
            rows: self.rows.clone(),
            errs: self.errs.clone(),
            arrangements: self.arrangements.clone(),
        }
    }
}

impl<'s, T: Time + Refines<u64>> Bundle<'s, T> {
    /// A bundle of a raw stream.
    pub fn of_rows(arity: usize, rows: RowStream<'s, T>, errs: Vec<RowStream<'s, T>>) -> Self {
        Bundle { arity, rows: Some(rows), errs, arrangements: vec![] }
    }
    /// The arrangement by `key`, if there is one.
    pub fn arrangement(&self, key: &[ScalarExpr]) -> Option<Arrangement<'s, T>> {
        self.arrangements.iter().find(|(by, _)| &by[..] == key).map(|(_, arrangement)| arrangement.clone())
    }
    /// Leaves of each stream of errors one: a binding that is read at several places brings its errors
    /// along on each way, and their number would double with every level of a plan of such bindings.
    pub fn report_once(&mut self) {
        self.errs.sort_by_key(|stream| *stream.name());
        self.errs.dedup_by_key(|stream| *stream.name());
    }
    /// Its errors as one stream.
    pub fn errors(&self, scope: Scope<'s, T>) -> RowStream<'s, T> {
        concatenate(scope, self.errs.clone())
    }
    /// Applies `mfp` to its rows, read from the arrangement `key` (only the keys `lookups`) or the stream.
    pub fn map(
        &self,
        name: &str,
        mfp: &Mfp,
        key: Option<&[ScalarExpr]>,
        lookups: Option<Vec<Vec<u8>>>,
        times: (u64, Option<u64>),
    ) -> Result<Bundle<'s, T>, RenderError> {
        let mut mapper = Mapper::new(mfp, times.0, times.1)?;
        let arity = mfp.output_arity();
        let mut errs = self.errs.clone();
        let key = match key {
            Some(key) => Some(key),
            // Nothing to read from but an arrangement.
            None if self.rows.is_none() => self.arrangements.first().map(|(key, _)| &key[..]),
            None => None,
        };
        let halves = match (key, &self.rows) {
            (Some(key), _) => {
                let missing = || RenderError::NoArrangement(name.to_owned());
                let arrangement = self.arrangement(key).ok_or_else(missing)?;
                arrangement.flat_map(
                    name,
                    lookups,
                    restored(key, self.arity, move |row, time, diff, out| {
                        mapper.map(row, time, diff, out);
                    }),
                )
            }
            (None, Some(rows)) if mapper.is_identity() => {
                return Ok(Bundle::of_rows(arity, rows.clone(), errs));
            }
            (None, Some(rows)) => flat_map(
                rows.clone(),
                name,
                Box::new(move |row, _, time, diff, out| mapper.map(row, time, diff, out)),
            ),
            (None, None) => return Err(RenderError::NoArrangement(name.to_owned())),
        };
        if mfp_can_fail(mfp) {
            errs.push(halves.errs);
        }
        Ok(Bundle::of_rows(arity, halves.oks, errs))
    }
    /// The raw stream, read from an arrangement where there is none.
    pub fn stream(&self, name: &str, times: (u64, Option<u64>)) -> Result<RowStream<'s, T>, RenderError> {
        if let Some(rows) = &self.rows {
            return Ok(rows.clone());
        }
        let mapped = self.map(name, &Mfp::identity(self.arity), None, None, times)?;
        mapped.rows.ok_or_else(|| RenderError::NoArrangement(name.to_owned()))
    }
    /// Adds the arrangement by `key` unless it is there.
    pub fn arrange_by(
        &mut self,
        name: &str,
        key: &[ScalarExpr],
        times: (u64, Option<u64>),
    ) -> Result<(), RenderError> {
        if self.arrangement(key).is_some() {
            return Ok(());
        }
        let rows = self.stream(name, times)?;
        let (arranged, errs) = arrange_rows(rows, name, key, self.arity)?;
        self.errs.extend(errs);
        self.arrangements.push((key.to_vec(), Arrangement::Here(arranged)));
        Ok(())
    }
}

/// Logic over an arrangement's keys and vals from logic over full rows.
pub fn restored<T: Time>(
    key: &[ScalarExpr],
    arity: usize,
    mut logic: impl FnMut(&[u8], &T, i64, &mut Out<T>) + 'static,
) -> Logic<T> {
    let mut restorer = Restorer::new(key, arity);
    let mut row = vec![];
    Box::new(move |key, val, time, diff, out| {
        row.clear();
        restorer.restore(key, val, &mut row);
        logic(&row, time, diff, out);
    })
}

/// Arranges full rows by `key`, thinned.
pub fn arrange_rows<'s, T: Time>(
    rows: RowStream<'s, T>,
    name: &str,
    key: &[ScalarExpr],
    arity: usize,
) -> Result<(RowArranged<'s, T>, Option<RowStream<'s, T>>), RenderError> {
    let mut splitter = Splitter::new(key, arity)?;
    let fallible = key.iter().any(crate::expr::can_fail);
    let split = flat_map(
        rows,
        &format!("{name} key"),
        Box::new(move |row, _, time: &T, diff, out| {
            if let Err(error) = splitter.split(row, time.clone(), diff, &mut out.oks) {
                out.error(&error, time.clone(), diff);
            }
        }),
    );
    Ok((arrange(split.oks, name), fallible.then_some(split.errs)))
}

/// Adds streams.
pub fn concatenate<'s, T: Time>(scope: Scope<'s, T>, streams: Vec<RowStream<'s, T>>) -> RowStream<'s, T> {
    let mut streams = streams;
    match streams.len() {
        0 => timely::dataflow::operators::generic::operator::empty::<T, Flat<T, i64>>(scope),
        1 => streams.remove(0),
        _ => scope.concatenate(streams),
    }
}
