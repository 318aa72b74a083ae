//! Short names for plans, and for dataflows of one object over shards of whole numbers.

use hw_types::datum::Datum;
use hw_types::row;
use hw_types::scalar::{BaseType, ColumnType};

use super::world::desc;
use crate::expr::{Mfp, ScalarExpr};
use crate::plan::{
    ArrangementKey, BuildDesc, DataflowDescription, IndexExport, IndexImport, Plan, RelationId, Sink,
    SinkExport, SourceImport,
};

/// A row of whole numbers.
pub fn ints(values: &[i64]) -> Vec<u8> {
    row::pack(values.iter().map(|value| Datum::Int(*value)))
}

/// The type of all columns.
pub fn int8() -> ColumnType {
    ColumnType { ty: BaseType::Int8.into(), nullable: true }
}

/// A column.
pub fn col(index: usize) -> ScalarExpr {
    ScalarExpr::Column { index }
}

/// Columns as a key.
pub fn cols(columns: &[usize]) -> ArrangementKey {
    columns.iter().map(|index| col(*index)).collect()
}

/// A constant.
pub fn lit(value: i64) -> ScalarExpr {
    ScalarExpr::Literal { data: ints(&[value]), ty: int8() }
}

/// A call.
pub fn call(func: &str, args: Vec<ScalarExpr>) -> ScalarExpr {
    ScalarExpr::Call { func: func.into(), args, ty: int8() }
}

/// Reads a global relation.
pub fn global(id: &str, arity: usize) -> Plan {
    read(RelationId::Global { id: id.into() }, arity)
}

/// Reads a local relation.
pub fn local(id: u64, arity: usize) -> Plan {
    read(RelationId::Local { id }, arity)
}

fn read(id: RelationId, arity: usize) -> Plan {
    Plan::Get { id, arity, mfp: Mfp::identity(arity), key: None, lookups: None, pass_through: true }
}

/// A projection.
pub fn project(input: Plan, arity: usize, columns: &[usize]) -> Plan {
    let mfp = Mfp { projection: columns.to_vec(), ..Mfp::identity(arity) };
    Plan::Mfp { input: Box::new(input), mfp, key: None, lookups: None }
}

/// An input with arrangements.
pub fn arranged(input: Plan, arity: usize, keys: &[&[usize]]) -> Plan {
    Plan::ArrangeBy { input: Box::new(input), arity, keys: keys.iter().map(|key| cols(key)).collect() }
}

/// The distinct rows of an input.
pub fn distinct(input: Plan, arity: usize) -> Plan {
    Plan::Reduce {
        input: Box::new(input),
        input_arity: arity,
        key: cols(&(0..arity).collect::<Vec<_>>()),
        aggregates: vec![],
        plan: Default::default(),
        mfp_after: Mfp::identity(arity),
        input_key: None,
    }
}

/// A dataflow over shards (named like the relations, with their columns).
pub fn dataflow(name: &str, sources: &[(&str, usize)], as_of: u64) -> DataflowDescription {
    let source = |(id, arity): &(&str, usize)| SourceImport {
        id: (*id).into(),
        shard: (*id).into(),
        desc: desc(*arity),
        table: false,
        mfp: None,
        selection: None,
    };
    DataflowDescription {
        name: name.into(),
        sources: sources.iter().map(source).collect(),
        logs: vec![],
        indexes: vec![],
        objects: vec![],
        index_exports: vec![],
        sink_exports: vec![],
        as_of: Some(as_of),
        until: None,
    }
}

impl DataflowDescription {
    /// With an object.
    pub fn object(mut self, id: &str, plan: Plan) -> Self {
        self.objects.push(BuildDesc { id: id.into(), plan });
        self
    }
    /// With an index of it.
    pub fn index(mut self, id: &str, on: &str, key: &[usize], arity: usize) -> Self {
        self.index_exports.push(IndexExport { id: id.into(), on: on.into(), key: cols(key), arity });
        self
    }
    /// Reading another dataflow's index.
    pub fn import(mut self, id: &str, on: &str, key: &[usize], arity: usize) -> Self {
        self.indexes.push(IndexImport { id: id.into(), on: on.into(), key: cols(key), arity });
        self
    }
    /// With a materialized view of it, in the shard of the same name.
    pub fn materialized(mut self, id: &str, on: &str, arity: usize) -> Self {
        let sink = Sink::MaterializedView { shard: id.into(), desc: desc(arity) };
        self.sink_exports.push(SinkExport { id: id.into(), on: on.into(), sink });
        self
    }
    /// With a subscription to it.
    pub fn subscribe(mut self, id: &str, on: &str, with_snapshot: bool) -> Self {
        let sink = Sink::Subscribe { with_snapshot };
        self.sink_exports.push(SinkExport { id: id.into(), on: on.into(), sink });
        self
    }
}
