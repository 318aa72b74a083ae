//! How large the arrangements and states of this thread are, as far as anybody asks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use differential_dataflow::trace::TraceReader;

use super::{RowArranged, RowSpine, batch_heap};
use crate::container::{Diff, Time};

/// What an arrangement holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Updates.
    pub records: usize,
    /// Its batches.
    pub batches: usize,
    /// Bytes of its batches that are used,
    pub bytes: usize,
    /// and those that are held.
    pub capacity: usize,
    /// How many pieces those are in.
    pub allocations: usize,
    /// How many read it.
    pub readers: usize,
    /// For the input of a reduction in stages: of which stage, from 0.
    pub stage: Option<usize>,
}

impl Size {
    /// Adds a piece of memory: the bytes used of those held.
    pub fn add(&mut self, used: usize, held: usize) {
        if held > 0 {
            self.bytes += used;
            self.capacity += held;
            self.allocations += 1;
        }
    }
}

struct Known {
    operator: usize,
    stage: Option<usize>,
    /// None once it is gone.
    size: Box<dyn Fn() -> Option<Size>>,
}

thread_local! {
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(vec![]) };
    /// Weak: a batcher goes with its operator.
    static BATCHERS: RefCell<Vec<(usize, Weak<Cell<Size>>)>> = const { RefCell::new(vec![]) };
}

/// Makes an arrangement known. It is not kept from going.
pub fn know<T: Time, R: Diff>(arranged: &RowArranged<'_, T, R>) {
    let trace = Rc::downgrade(&arranged.trace.trace_box_unstable());
    let size = move || {
        let trace = trace.upgrade()?;
        // This handle is none of a reader.
        let mut size = Size { readers: Rc::strong_count(&trace) - 1, ..Size::default() };
        let spine: std::cell::Ref<'_, RowSpine<T, R>> =
            std::cell::Ref::map(trace.try_borrow().ok()?, |trace| trace.trace());
        spine.map_spans(|span| {
            if let Some(batch) = &span.inner {
                size.records += batch.updates;
                size.batches += 1;
                batch_heap(batch, &mut |used, held| size.add(used, held));
            }
        });
        Some(size)
    };
    let operator = arranged.trace.operator().global_id;
    KNOWN.with_borrow_mut(|known| known.push(Known { operator, stage: None, size: Box::new(size) }));
}

/// Says that an arrangement, which is known, is the input of that stage of a reduction.
pub fn is_stage<T: Time, R: Diff>(arranged: &RowArranged<'_, T, R>, stage: usize) {
    let operator = arranged.trace.operator().global_id;
    KNOWN.with_borrow_mut(|known| {
        known
            .iter_mut()
            .filter(|known| known.operator == operator)
            .for_each(|known| known.stage = Some(stage));
    });
}

/// Makes the state of an operator known, which lives as long as `size` is held.
pub fn know_state(operator: usize, size: &Rc<Cell<Size>>) {
    let size = Rc::downgrade(size);
    let size = move || size.upgrade().map(|size| size.get());
    KNOWN.with_borrow_mut(|known| known.push(Known { operator, stage: None, size: Box::new(size) }));
}

/// Makes known what waits in the batcher of an operator, which lives as long as `size` is held.
pub fn know_batcher(operator: usize, size: &Rc<Cell<Size>>) {
    BATCHERS.with_borrow_mut(|known| known.push((operator, Rc::downgrade(size))));
}

/// The sizes of all batchers by operator.
pub fn batchers() -> HashMap<usize, Size> {
    BATCHERS.with_borrow_mut(|known| {
        known.retain(|(_, size)| size.strong_count() > 0);
        known.iter().filter_map(|(operator, size)| Some((*operator, size.upgrade()?.get()))).collect()
    })
}

/// The sizes of all arrangements and states by operator.
pub fn all() -> HashMap<usize, Size> {
    let mut sizes = HashMap::new();
    KNOWN.with_borrow_mut(|known| {
        known.retain(|known| {
            let size = (known.size)();
            if let Some(size) = size {
                sizes.insert(known.operator, Size { stage: known.stage, ..size });
            }
            size.is_some()
        });
    });
    sizes
}
