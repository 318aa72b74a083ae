//! From a row's position to the positions of its frame.

use std::ops::Range;

use hw_types::order::column;
use smallvec::SmallVec;

use super::functions::{Function, Functions};
use super::tree::{Entry, Tree};
use crate::plan::{FrameBound, FrameBoundKind, FrameExclusion, FrameUnits};
use crate::render::ordered::push_sort_key;

/// Parts of a frame in order: an exclusion cuts it in up to three.
pub type Parts = SmallVec<[Range<usize>; 3]>;

/// A row and its peers.
#[derive(Clone, Debug)]
pub struct Place {
    /// The row's position.
    pub at: usize,
    /// The positions of its peers, itself among them.
    pub peers: Range<usize>,
    /// The number of its group of peers, from 0.
    pub group: usize,
}

impl Place {
    /// The place of the row at `at`; `before` is that of another row, which may be among its peers.
    pub fn of(tree: &Tree<Functions>, at: usize, before: Option<Place>) -> Place {
        match before {
            Some(place) if place.peers.contains(&at) => Place { at, ..place },
            Some(place) if place.peers.end == at => {
                let end = tree.group_start(place.group + 2);
                Place { at, peers: at..end, group: place.group + 1 }
            }
            _ => {
                let group = tree.groups_before(at + 1) - 1;
                Place { at, peers: tree.group_start(group)..tree.group_start(group + 1), group }
            }
        }
    }
}

/// Rows that come before a distance from the current row: before `key`, or up to it.
fn by_distance(tree: &Tree<Functions>, key: &[u8], inclusive: bool) -> usize {
    if inclusive {
        tree.partition_point(|other| other.key() <= key)
    } else {
        tree.partition_point(|other| other.key() < key)
    }
}

/// The sort key at which a frame by distances begins or ends.
pub fn bound_key(functions: &Functions, entry: &Entry, bound: usize) -> Vec<u8> {
    let mut key = vec![];
    if let Some(by) = functions.order.first() {
        push_sort_key(column(entry.row(), bound), by, &mut key);
    }
    key
}

fn clamp(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The first position of the frame, or the first after it.
fn bound(
    tree: &Tree<Functions>,
    units: FrameUnits,
    bound: &FrameBound,
    place: &Place,
    is_end: bool,
) -> usize {
    let here = usize::from(is_end);
    let offset = clamp(bound.offset);
    match (bound.kind, units) {
        (FrameBoundKind::UnboundedPreceding, _) => 0,
        (FrameBoundKind::UnboundedFollowing, _) => tree.len(),
        (FrameBoundKind::CurrentRow, FrameUnits::Rows) => place.at + here,
        (FrameBoundKind::CurrentRow, _) => {
            if is_end {
                place.peers.end
            } else {
                place.peers.start
            }
        }
        (FrameBoundKind::Preceding, FrameUnits::Rows) => (place.at + here).saturating_sub(offset),
        (FrameBoundKind::Following, FrameUnits::Rows) => {
            (place.at + here).saturating_add(offset).min(tree.len())
        }
        (FrameBoundKind::Preceding, FrameUnits::Groups) => match (place.group + here).checked_sub(offset) {
            Some(group) => tree.group_start(group),
            None => 0,
        },
        (FrameBoundKind::Following, FrameUnits::Groups) => {
            tree.group_start((place.group + here).saturating_add(offset))
        }
        (FrameBoundKind::Preceding | FrameBoundKind::Following, FrameUnits::Range) => {
            let Some(column) = bound.column else { return place.at };
            let key = bound_key(tree.measure(), tree.get(place.at), column);
            by_distance(tree, &key, is_end)
        }
    }
}

/// The frame of the row at `place`.
pub fn frame(tree: &Tree<Functions>, function: &Function, place: &Place) -> Parts {
    let frame = &function.frame;
    let start = bound(tree, frame.units, &frame.start, place, false);
    let end = bound(tree, frame.units, &frame.end, place, true);
    let whole = start..end.max(start);
    let without = |out: Range<usize>| -> Parts {
        let before = whole.start..whole.end.min(out.start).max(whole.start);
        let after = whole.start.max(out.end).min(whole.end)..whole.end;
        [before, after].into_iter().filter(|part| !part.is_empty()).collect()
    };
    match frame.exclusion {
        FrameExclusion::NoOthers => std::iter::once(whole).filter(|part| !part.is_empty()).collect(),
        FrameExclusion::CurrentRow => without(place.at..place.at + 1),
        FrameExclusion::Group => without(place.peers.clone()),
        FrameExclusion::Ties => {
            let mut parts = without(place.peers.clone());
            if whole.contains(&place.at) {
                let index = parts.iter().take_while(|part| part.end <= place.at).count();
                parts.insert(index, place.at..place.at + 1);
            }
            parts
        }
    }
}
