"""One cluster as the compute controller keeps it: its exports, and the commands that made them."""

import asyncio

import msgspec

from headwater.compute.collections import ExportKind, ExportState
from headwater.compute.protocol import ComputeCommand, CreateDataflow, InitializationComplete
from headwater.ir.dataflow import DataflowDescription, MaterializedViewSink
from headwater.types.frontier import meet
from headwater.types.ids import ClusterId, GlobalId, ReplicaId
from headwater.types.time import Timestamp


class Instance:
    """One cluster's dataflows. Exports of one dataflow share its description."""

    def __init__(self, cluster: ClusterId) -> None:
        self.cluster = cluster
        self.replicas: set[ReplicaId] = set()
        self.exports: dict[GlobalId, ExportState] = {}
        self.dataflows: dict[GlobalId, DataflowDescription] = {}  # by each live export's id
        self.targets: dict[GlobalId, ReplicaId] = {}  # of exports that one replica has alone
        self.waiters: dict[GlobalId, list[tuple[Timestamp, asyncio.Future[None]]]] = {}

    def history(self, replica: ReplicaId) -> list[ComputeCommand]:
        """Return the commands that bring a replica up to date, each as_of at its exports' since."""
        commands: list[ComputeCommand] = []
        done: set[int] = set()
        for export, dataflow in self.dataflows.items():
            if self.targets.get(export, replica) != replica:
                continue
            if id(dataflow) in done:  # one description may stand under several exports
                continue
            done.add(id(dataflow))
            live = [e for e in exports_of(dataflow) if e in self.exports]
            as_of = meet(self.exports[e].since for e in live)
            commands.append(
                CreateDataflow(
                    msgspec.structs.replace(
                        dataflow,
                        as_of=as_of,
                        index_exports=tuple(x for x in dataflow.index_exports if x.id in live),
                        sink_exports=tuple(x for x in dataflow.sink_exports if x.id in live),
                    )
                )
            )
        commands.append(InitializationComplete())
        return commands


def exports_of(dataflow: DataflowDescription) -> dict[GlobalId, ExportKind]:
    """Return what a dataflow exports: each id, and what it is."""
    kinds = {export.id: ExportKind.INDEX for export in dataflow.index_exports}
    for sink in dataflow.sink_exports:
        materialized = isinstance(sink.sink, MaterializedViewSink)
        kinds[sink.id] = ExportKind.MATERIALIZED_VIEW if materialized else ExportKind.SUBSCRIBE
    return kinds
