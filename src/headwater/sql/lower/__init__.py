"""From the optimized relational plan to what replicas run.

In: ``ir.relation``, indexes and durable collections. Out: ``ir.physical`` plans inside an
``ir.dataflow.DataflowDescription``, or a fast-path peek. Modules: ``mfp`` (fused chains, temporal
bounds), ``lookups`` (conditions that become look-ups), ``joins`` (paths and closures), ``reduce``
(strategies), ``plan`` (the walk, and which arrangements exist), ``dataflow`` (imports, objects,
exports), ``selection`` (which parts of a source its read needs), ``peek`` (how a one-shot read is
answered), ``substitute`` (parameters, moments).
"""
