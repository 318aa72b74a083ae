//! How large the arrangements and states of this thread are, as far as anybody asks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use differential_dataflow::trace::TraceReader;

use super::{RowArranged, RowSpine, batch_bytes};
use crate::container::{Diff, Time};

/// What an arrangement holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Updates.
    pub records: usize,
    /// Bytes of its batches.
    pub bytes: usize,
    /// For the input of a reduction in stages: of which stage, from 0.
    pub stage: Option<usize>,
}

struct Known {
    operator: usize,
    stage: Option<usize>,
    /// None once it is gone.
    size: Box<dyn Fn() -> Option<Size>>,
}

thread_local! {
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(vec![]) };
}

/// Makes an arrangement known. It is not kept from going.
pub fn know<T: Time, R: Diff>(arranged: &RowArranged<'_, T, R>) {
    let trace = Rc::downgrade(&arranged.trace.trace_box_unstable());
    let size = move || {
        let trace = trace.upgrade()?;
        let mut size = Size::default();
        let spine: std::cell::Ref<'_, RowSpine<T, R>> =
            std::cell::Ref::map(trace.try_borrow().ok()?, |trace| trace.trace());
        spine.map_spans(|span| {
            if let Some(batch) = &span.inner {
                size.records += batch.updates;
                size.bytes += batch_bytes(batch);
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
