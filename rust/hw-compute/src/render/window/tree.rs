//! The rows of a partition in order, with summaries: a tree whose leaves hold entries and whose inner nodes
//! know of each subtree how many rows and groups of peers it holds, and what its rows come to.
//!
//! Positions count from 0. Everything costs a walk from the root; ranges are folded from the summaries of
//! the subtrees within them.

use std::ops::Range;
use std::rc::Rc;

use super::super::ordered::{key_of, row_of};

/// Entries of a leaf: a change moves half of them.
const LEAF_MAX: usize = 64;
/// Subtrees of an inner node: a walk looks through half of them.
const INNER_MAX: usize = 16;

/// What the functions came to for a row: encoded datums, or an error's row. None: not computed yet.
pub type Output = Option<Result<Box<[u8]>, Box<[u8]>>>;

/// One row, and what was last said of it.
#[derive(Debug)]
pub struct Entry {
    val: Box<[u8]>,
    /// Whether it is the first of its peers.
    head: bool,
    /// Its values.
    pub output: Output,
}

impl Entry {
    /// A row whose values are not known yet, from an ordered val.
    pub fn new(val: &[u8]) -> Self {
        Entry { val: val.into(), head: true, output: None }
    }
    /// Sort key and row.
    pub fn val(&self) -> &[u8] {
        &self.val
    }
    /// The sort key: equal for peers.
    pub fn key(&self) -> &[u8] {
        key_of(&self.val)
    }
    /// The row.
    pub fn row(&self) -> &[u8] {
        row_of(&self.val)
    }
}

/// How rows are summed up. Summaries must not depend on the order in which entries are added.
pub trait Measure {
    /// What a set of rows comes to; the default is that of none.
    type Summary: Default;
    /// Adds a row.
    fn add(&self, summary: &mut Self::Summary, entry: &Entry);
    /// Takes a row away; false where only a recount can tell.
    fn subtract(&self, summary: &mut Self::Summary, entry: &Entry) -> bool;
    /// Adds other rows.
    fn merge(&self, summary: &mut Self::Summary, other: &Self::Summary);
}

struct Node<S> {
    rows: usize,
    heads: usize,
    summary: S,
    body: Body<S>,
}

enum Body<S> {
    Leaf(Vec<Entry>),
    Inner(Vec<Node<S>>),
}

/// The rows of a partition.
pub struct Tree<M: Measure> {
    measure: Rc<M>,
    root: Node<M::Summary>,
}

impl<S: Default> Node<S> {
    fn new<M: Measure<Summary = S>>(measure: &M, body: Body<S>) -> Self {
        let mut node = Node { rows: 0, heads: 0, summary: S::default(), body };
        node.recount(measure);
        node
    }
    fn recount<M: Measure<Summary = S>>(&mut self, measure: &M) {
        self.summary = S::default();
        match &self.body {
            Body::Leaf(entries) => {
                self.rows = entries.len();
                self.heads = entries.iter().filter(|entry| entry.head).count();
                entries.iter().for_each(|entry| measure.add(&mut self.summary, entry));
            }
            Body::Inner(nodes) => {
                self.rows = nodes.iter().map(|node| node.rows).sum();
                self.heads = nodes.iter().map(|node| node.heads).sum();
                nodes.iter().for_each(|node| measure.merge(&mut self.summary, &node.summary));
            }
        }
    }
    fn width(&self) -> usize {
        match &self.body {
            Body::Leaf(entries) => entries.len(),
            Body::Inner(nodes) => nodes.len(),
        }
    }
    fn width_max(&self) -> usize {
        match &self.body {
            Body::Leaf(_) => LEAF_MAX,
            Body::Inner(_) => INNER_MAX,
        }
    }
    /// Inserts; a node that has become too wide gives its right half away.
    fn insert<M: Measure<Summary = S>>(&mut self, measure: &M, at: usize, entry: Entry) -> Option<Self> {
        self.rows += 1;
        self.heads += usize::from(entry.head);
        measure.add(&mut self.summary, &entry);
        match &mut self.body {
            Body::Leaf(entries) => entries.insert(at, entry),
            Body::Inner(nodes) => {
                let (index, at) = child(nodes, at, true);
                if let Some(right) = nodes[index].insert(measure, at, entry) {
                    nodes.insert(index + 1, right);
                }
            }
        }
        (self.width() > self.width_max()).then(|| self.split(measure))
    }
    fn split<M: Measure<Summary = S>>(&mut self, measure: &M) -> Self {
        let half = self.width() / 2;
        let right = match &mut self.body {
            Body::Leaf(entries) => Body::Leaf(entries.split_off(half)),
            Body::Inner(nodes) => Body::Inner(nodes.split_off(half)),
        };
        self.recount(measure);
        Node::new(measure, right)
    }
    fn remove<M: Measure<Summary = S>>(&mut self, measure: &M, at: usize) -> Entry {
        let entry = match &mut self.body {
            Body::Leaf(entries) => entries.remove(at),
            Body::Inner(nodes) => {
                let (index, at) = child(nodes, at, false);
                let entry = nodes[index].remove(measure, at);
                mend(measure, nodes, index);
                entry
            }
        };
        self.rows -= 1;
        self.heads -= usize::from(entry.head);
        if !measure.subtract(&mut self.summary, &entry) {
            self.recount(measure);
        }
        entry
    }
    fn set_head(&mut self, at: usize, head: bool) {
        match &mut self.body {
            Body::Leaf(entries) => entries[at].head = head,
            Body::Inner(nodes) => {
                let (index, at) = child(nodes, at, false);
                nodes[index].set_head(at, head);
            }
        }
        self.heads = if head { self.heads + 1 } else { self.heads - 1 };
    }
}

/// Puts a subtree that has become narrow together with a neighbour, if both fit into one.
fn mend<M: Measure>(measure: &M, nodes: &mut Vec<Node<M::Summary>>, index: usize) {
    let node = &nodes[index];
    if node.rows == 0 && nodes.len() > 1 {
        nodes.remove(index);
        return;
    }
    if node.width() * 4 > node.width_max() {
        return;
    }
    let left = if index + 1 < nodes.len() { index } else { index.saturating_sub(1) };
    if left + 1 >= nodes.len() || nodes[left].width() + nodes[left + 1].width() > node.width_max() {
        return;
    }
    let right = nodes.remove(left + 1);
    match (&mut nodes[left].body, right.body) {
        (Body::Leaf(entries), Body::Leaf(more)) => entries.extend(more),
        (Body::Inner(inner), Body::Inner(more)) => inner.extend(more),
        _ => unreachable!("all leaves are on one level"),
    }
    nodes[left].recount(measure);
}

/// Which subtree holds position `at`, and where in it. An insertion at a border goes to the left one.
fn child<S>(nodes: &[Node<S>], mut at: usize, insertion: bool) -> (usize, usize) {
    for (index, node) in nodes.iter().enumerate() {
        if at < node.rows || (insertion && at == node.rows) {
            return (index, at);
        }
        at -= node.rows;
    }
    unreachable!("a position is within the tree")
}

impl<M: Measure> Tree<M> {
    /// An empty tree.
    pub fn new(measure: Rc<M>) -> Self {
        Tree::from_sorted(measure, vec![])
    }
    /// A tree of entries in order.
    pub fn from_sorted(measure: Rc<M>, mut entries: Vec<Entry>) -> Self {
        for at in 0..entries.len() {
            let head = at == 0 || entries[at - 1].key() != entries[at].key();
            entries[at].head = head;
        }
        let mut level = chunks(entries, LEAF_MAX / 2, |chunk| Node::new(&*measure, Body::Leaf(chunk)));
        while level.len() > 1 {
            level = chunks(level, INNER_MAX / 2, |chunk| Node::new(&*measure, Body::Inner(chunk)));
        }
        let root = level.pop().unwrap_or_else(|| Node::new(&*measure, Body::Leaf(vec![])));
        Tree { measure, root }
    }
    /// All entries, in order.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        fn drain<S>(node: Node<S>, into: &mut Vec<Entry>) {
            match node.body {
                Body::Leaf(entries) => into.extend(entries),
                Body::Inner(nodes) => nodes.into_iter().for_each(|node| drain(node, into)),
            }
        }
        let empty = Node::new(&*self.measure, Body::Leaf(vec![]));
        let root = std::mem::replace(&mut self.root, empty);
        let mut entries = Vec::with_capacity(root.rows);
        drain(root, &mut entries);
        entries
    }
    /// Replaces all entries by others in order.
    pub fn rebuild(&mut self, entries: Vec<Entry>) {
        *self = Tree::from_sorted(Rc::clone(&self.measure), entries);
    }
    /// How rows are summed up.
    pub fn measure(&self) -> &M {
        &self.measure
    }
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.root.rows
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.root.rows == 0
    }
    /// What all rows come to.
    pub fn total(&self) -> &M::Summary {
        &self.root.summary
    }
    /// The entry at a position below [`len`](Self::len).
    pub fn get(&self, mut at: usize) -> &Entry {
        let mut node = &self.root;
        loop {
            match &node.body {
                Body::Leaf(entries) => return &entries[at],
                Body::Inner(nodes) => {
                    let (index, within) = child(nodes, at, false);
                    (node, at) = (&nodes[index], within);
                }
            }
        }
    }
    /// How many entries come before the first that fails `test`, which holds for a prefix.
    pub fn partition_point(&self, test: impl Fn(&Entry) -> bool) -> usize {
        fn last<S>(node: &Node<S>) -> Option<&Entry> {
            match &node.body {
                Body::Leaf(entries) => entries.last(),
                Body::Inner(nodes) => nodes.last().and_then(last),
            }
        }
        let mut node = &self.root;
        let mut before = 0;
        loop {
            match &node.body {
                Body::Leaf(entries) => return before + entries.partition_point(&test),
                Body::Inner(nodes) => {
                    let index = nodes.partition_point(|node| last(node).is_some_and(&test));
                    before += nodes[..index].iter().map(|node| node.rows).sum::<usize>();
                    match nodes.get(index) {
                        Some(found) => node = found,
                        None => return before,
                    }
                }
            }
        }
    }
    /// Inserts a row after those that are equal to it.
    pub fn insert(&mut self, mut entry: Entry) {
        let at = self.partition_point(|other| other.val() <= entry.val());
        entry.head = at == 0 || self.get(at - 1).key() != entry.key();
        let unseats = at < self.len() && {
            let next = self.get(at);
            next.head && next.key() == entry.key()
        };
        if unseats {
            self.root.set_head(at, false);
        }
        if let Some(right) = self.root.insert(&*self.measure, at, entry) {
            let empty = Node::new(&*self.measure, Body::Leaf(vec![]));
            let left = std::mem::replace(&mut self.root, empty);
            self.root = Node::new(&*self.measure, Body::Inner(vec![left, right]));
        }
    }
    /// Takes one row equal to `val` away, if there is any.
    pub fn remove(&mut self, val: &[u8]) -> Option<Entry> {
        let after = self.partition_point(|other| other.val() <= val);
        let at = after.checked_sub(1).filter(|at| self.get(*at).val() == val)?;
        let removed = self.root.remove(&*self.measure, at);
        if removed.head && at < self.len() && !self.get(at).head {
            self.root.set_head(at, true);
        }
        if let Body::Inner(nodes) = &mut self.root.body
            && nodes.len() == 1
        {
            self.root = nodes.remove(0);
        }
        Some(removed)
    }
    /// How many groups of peers begin before position `at`.
    pub fn groups_before(&self, at: usize) -> usize {
        self.count_before(at, |node| node.heads, |entry| usize::from(entry.head))
    }
    /// Where group `number` begins; the end if there are no more.
    pub fn group_start(&self, number: usize) -> usize {
        self.seek(number, |node| node.heads, |entry| usize::from(entry.head))
    }
    /// How many of the entries before `at` count, of which summaries know the number.
    pub fn counted_before(
        &self,
        at: usize,
        of_many: impl Fn(&M::Summary) -> usize,
        of_one: impl Fn(&Entry) -> usize,
    ) -> usize {
        self.count_before(at, |node| of_many(&node.summary), of_one)
    }
    /// The position of the entry before which `number` count and which counts itself; the end if none is.
    pub fn counted(
        &self,
        number: usize,
        of_many: impl Fn(&M::Summary) -> usize,
        of_one: impl Fn(&Entry) -> usize,
    ) -> usize {
        self.seek(number, |node| of_many(&node.summary), of_one)
    }
    fn count_before(
        &self,
        mut at: usize,
        of_many: impl Fn(&Node<M::Summary>) -> usize,
        of_one: impl Fn(&Entry) -> usize,
    ) -> usize {
        let mut node = &self.root;
        let mut count = 0;
        if at >= node.rows {
            return of_many(node);
        }
        loop {
            match &node.body {
                Body::Leaf(entries) => return count + entries[..at].iter().map(of_one).sum::<usize>(),
                Body::Inner(nodes) => {
                    let (index, within) = child(nodes, at, false);
                    count += nodes[..index].iter().map(&of_many).sum::<usize>();
                    (node, at) = (&nodes[index], within);
                }
            }
        }
    }
    fn seek(
        &self,
        mut number: usize,
        of_many: impl Fn(&Node<M::Summary>) -> usize,
        of_one: impl Fn(&Entry) -> usize,
    ) -> usize {
        let mut node = &self.root;
        let mut before = 0;
        if number >= of_many(node) {
            return node.rows;
        }
        loop {
            match &node.body {
                Body::Leaf(entries) => {
                    for (at, entry) in entries.iter().enumerate() {
                        let one = of_one(entry);
                        if number < one {
                            return before + at;
                        }
                        number -= one;
                    }
                    unreachable!("the count of a node is that of its entries");
                }
                Body::Inner(nodes) => {
                    let mut found = None;
                    for inner in nodes {
                        let many = of_many(inner);
                        if number < many {
                            found = Some(inner);
                            break;
                        }
                        number -= many;
                        before += inner.rows;
                    }
                    node = found.expect("the count of a node is that of its subtrees");
                }
            }
        }
    }
    /// Visits the rows of `range`: whole subtrees by their summary, others one by one, in order.
    pub fn fold(
        &self,
        range: Range<usize>,
        on_many: &mut dyn FnMut(&M::Summary),
        on_one: &mut dyn FnMut(&Entry),
    ) {
        fn walk<S>(
            node: &Node<S>,
            range: Range<usize>,
            on_many: &mut dyn FnMut(&S),
            on_one: &mut dyn FnMut(&Entry),
        ) {
            match &node.body {
                _ if range.is_empty() => {}
                _ if range == (0..node.rows) => on_many(&node.summary),
                Body::Leaf(entries) => entries[range].iter().for_each(on_one),
                Body::Inner(nodes) => {
                    let mut before = 0;
                    for inner in nodes {
                        let (from, to) = (range.start.max(before), range.end.min(before + inner.rows));
                        if from < to {
                            walk(inner, from - before..to - before, on_many, on_one);
                        }
                        before += inner.rows;
                    }
                }
            }
        }
        walk(&self.root, range.start.min(self.len())..range.end.min(self.len()), on_many, on_one);
    }
    /// Visits the entries of `range` in order, until `visit` says no.
    pub fn visit<'a>(&'a self, range: Range<usize>, visit: &mut dyn FnMut(usize, &'a Entry) -> bool) {
        fn walk<'a, S>(
            node: &'a Node<S>,
            before: usize,
            range: &Range<usize>,
            visit: &mut dyn FnMut(usize, &'a Entry) -> bool,
        ) -> bool {
            let (from, to) = (range.start.max(before), range.end.min(before + node.rows));
            match &node.body {
                _ if from >= to => true,
                Body::Leaf(entries) => (from..to).all(|at| visit(at, &entries[at - before])),
                Body::Inner(nodes) => {
                    let mut before = before;
                    nodes.iter().all(|inner| {
                        let start = before;
                        before += inner.rows;
                        walk(inner, start, range, visit)
                    })
                }
            }
        }
        walk(&self.root, 0, &range, visit);
    }
    /// Visits the entries of `range` in order, for replacing their output.
    pub fn update(&mut self, range: Range<usize>, visit: &mut dyn FnMut(&[u8], &mut Output)) {
        fn walk<S>(
            node: &mut Node<S>,
            before: usize,
            range: &Range<usize>,
            visit: &mut dyn FnMut(&[u8], &mut Output),
        ) {
            let (from, to) = (range.start.max(before), range.end.min(before + node.rows));
            match &mut node.body {
                _ if from >= to => {}
                Body::Leaf(entries) => {
                    for Entry { val, output, .. } in &mut entries[from - before..to - before] {
                        visit(row_of(val), output);
                    }
                }
                Body::Inner(nodes) => {
                    let mut before = before;
                    for inner in nodes {
                        let start = before;
                        before += inner.rows;
                        walk(inner, start, range, visit);
                    }
                }
            }
        }
        walk(&mut self.root, 0, &range, visit);
    }
}

fn chunks<I, O>(items: Vec<I>, size: usize, mut make: impl FnMut(Vec<I>) -> O) -> Vec<O> {
    let mut items = items.into_iter().peekable();
    let mut out = vec![];
    while items.peek().is_some() {
        out.push(make(items.by_ref().take(size).collect()));
    }
    out
}
