"""What all reads share: which cluster, which time, which holds, and the plan that runs.

In order: the cluster (the session's, the statement's own, or the catalog's for queries of the
catalog alone); the collections that the query is computed from, held; the time, chosen from their
frontiers; the moment's and session's values put into the plan; optimized and lowered. Whoever calls
owns the holds of the result and lets go of them in every case.
"""

from collections.abc import Sequence

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.data_errors import raise_fields
from headwater.adapter.finishing import finish
from headwater.adapter.holds import Bundle, ReadHolds, bundle_of, logs_of
from headwater.adapter.planning import is_long_plan
from headwater.adapter.session import Session
from headwater.adapter.statement_rows import CONSTANT, FAST_PATH, STANDARD, SampledExecution
from headwater.adapter.timestamps import Determination, Isolation, Wanted, determine
from headwater.adapter.transactions import ReadState, TimeDomain
from headwater.adapter.variables import SERVER_VERSION, bytes_count
from headwater.catalog import rows as r
from headwater.catalog.builtin.initial import CATALOG_CLUSTER
from headwater.catalog.items import Relation, Schema
from headwater.compute.protocol import AllowCompaction, CreateDataflow, Peek
from headwater.errors import (
    FeatureNotSupported,
    InternalError,
    InvalidParameterValue,
    InvalidTransactionState,
)
from headwater.ir.kernels import int_of
from headwater.ir.literals import literal_from_text, literal_int
from headwater.ir.physical import Mfp
from headwater.ir.relation import RelationExpr, RowSetFinishing
from headwater.ir.scalar import Literal, UnmaterializableFunc
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.lower.peek import ConstantPeek, DataflowPeek, IndexPeek, PeekPlan, plan_peek
from headwater.sql.lower.substitute import substitute_unmaterializable, unmaterializable_of
from headwater.sql.plan.statements import AsOfPlan, Planned
from headwater.types import scalar
from headwater.types.frontier import less_equal
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.scalar import ColumnType, ScalarType
from headwater.types.time import TIMESTAMP_MAX, TIMESTAMP_MIN, Timestamp

_encoder = msgspec.msgpack.Encoder()
_MICROS_PER_MS = 1_000
_MILLIS = 1_000  # a second
# How often a read that is ahead of the oracle looks again: a tick of an idle timeline.
_PRESENT_POLL_S = 1.0


class Target(msgspec.Struct, frozen=True):
    """Where a read runs; ``cluster`` None if it needs none."""

    cluster: ClusterId | None
    name: str
    replica: str = ""


class Read(msgspec.Struct, frozen=True):
    """A read, ready to run. ``holds`` are the caller's to release."""

    target: Target
    expr: RelationExpr  # optimized
    plan: PeekPlan
    ts: Timestamp
    determination: Determination
    holds: ReadHolds


def literals(params: Sequence[bytes | None], types: Sequence[ScalarType]) -> tuple[Literal, ...]:
    """Return the values of a statement's parameters."""
    if len(params) != len(types):
        raise InvalidParameterValue(
            f"statement has {len(types)} parameters, but {len(params)} were given"
        )
    return tuple(
        Literal(r.NULL if value is None else value, ColumnType(type_, nullable=value is None))
        for value, type_ in zip(params, types, strict=True)
    )


def choose_target(coord: Coordinator, session: Session, planned: Planned) -> Target:
    """Return where a query runs.

    Raises: UndefinedObject (no such cluster); FeatureNotSupported (it reads logs of replicas, of
    which there are several).
    """
    target = _target(coord, session, planned)
    if target.cluster is not None and not target.replica:
        _admit_logs(coord, target.cluster, planned)
    return target


def _admit_logs(coord: Coordinator, cluster: ClusterId, planned: Planned) -> None:
    if len(coord.snapshot.cluster_by_id(cluster).replicas) < 2:
        return
    logs = logs_of(coord.snapshot, planned.depends_on)
    if logs:
        raise FeatureNotSupported(
            "log source reads must target a replica",
            detail="The query reads what each replica knows of itself: "
            + ", ".join(coord.snapshot.show_item(log) for log in logs),
            hint="Choose a replica with SET cluster_replica = …; RESET cluster_replica ends that.",
        )


def _target(coord: Coordinator, session: Session, planned: Planned) -> Target:
    replica = session.variables.get("cluster_replica")
    if planned.target_cluster is not None:
        cluster = coord.snapshot.cluster_by_id(planned.target_cluster)
        return Target(cluster.id, cluster.name, planned.target_replica or "")
    if is_catalog_query(coord, session, planned):
        cluster = coord.snapshot.cluster_by_id(CATALOG_CLUSTER)
        return Target(cluster.id, cluster.name)
    if not planned.depends_on and coord.snapshot.try_cluster(session.cluster) is None:
        return Target(None, session.cluster)
    cluster = coord.snapshot.cluster(session.cluster)
    if replica:
        return Target(cluster.id, cluster.name, coord.snapshot.replica(cluster.name, replica).id)
    return Target(cluster.id, cluster.name)


def is_catalog_query(coord: Coordinator, session: Session, planned: Planned) -> bool:
    """Return whether a query reads the catalog alone, and may go where that is served."""
    if not planned.depends_on or not session.variables.flag("auto_route_catalog_queries"):
        return False
    if not all(id.startswith("s") for id in planned.depends_on):
        return False
    return not logs_of(coord.snapshot, planned.depends_on)


def session_values(coord: Coordinator, session: Session) -> dict[UnmaterializableFunc, Literal]:
    """Return the values of the functions that depend on session and moment, but mz_now."""
    f = UnmaterializableFunc
    transaction = session.transaction
    if transaction.now_us is None:
        transaction.now_us = _wall_us(coord, session)
    now_us = transaction.now_us
    path = [s.name for s in _schemas(coord, session, system=False)]
    whole = [s.name for s in _schemas(coord, session, system=True)]
    texts = {
        f.CURRENT_USER: session.user,
        f.SESSION_USER: session.authorization.name,
        f.CURRENT_DATABASE: session.database,
        f.VERSION: f"PostgreSQL {SERVER_VERSION} on headwater {coord.version}",
        f.MZ_VERSION: f"v{coord.version}",
        f.MZ_ENVIRONMENT_ID: coord.environment_id,
        f.MZ_SESSION_ID: session.id,
    }
    text_array = scalar.array_of(scalar.TEXT)
    uptime = r.interval_ms(coord.clock.now_ms() - coord.started_ms)
    values = {func: _value(r.text(text), scalar.TEXT) for func, text in texts.items()}
    values |= {
        f.NOW: _value(r.integer(now_us), scalar.TIMESTAMPTZ),
        f.CURRENT_TIMESTAMP: _value(r.integer(now_us), scalar.TIMESTAMPTZ),
        f.CURRENT_SCHEMA: _value(r.text(path[0] if path else None), scalar.TEXT),
        f.CURRENT_SCHEMAS_WITH_SYSTEM: _value(r.text_array(whole), text_array),
        f.CURRENT_SCHEMAS_WITHOUT_SYSTEM: _value(r.text_array(path), text_array),
        f.EVALUATION: _value(r.integer(0), scalar.INT8),
        f.PG_BACKEND_PID: _value(r.integer(session.process_id), scalar.INT4),
        f.MZ_UPTIME: _value(uptime, scalar.INTERVAL),
        f.CURRENT_SETTING: session.settings_map(),
        f.IS_SUPERUSER: _value(r.boolean(session.superuser), scalar.BOOL),
    }
    return values


def _wall_us(coord: Coordinator, session: Session) -> int:
    """Return the time that a transaction begins at; tests may say which."""
    said = session.variables.get("unsafe_new_transaction_wall_time")
    if said:
        return int_of(literal_from_text(said, scalar.TIMESTAMPTZ).data)
    return coord.clock.now_ms() * _MICROS_PER_MS


def _schemas(coord: Coordinator, session: Session, *, system: bool) -> list[Schema]:
    if system:
        return coord.snapshot.search_schemas(
            session.search_path, session.database, session.temp_schema
        )
    found = (
        coord.snapshot.try_schema(name, session.database, session.temp_schema)
        for name in session.search_path
    )
    return [schema for schema in found if schema is not None]


def _value(data: bytes, type_: ScalarType) -> Literal:
    return Literal(data, ColumnType(type_, nullable=data == r.NULL))


def wanted_time(
    coord: Coordinator, as_of: AsOfPlan | None, params: Sequence[Literal]
) -> Wanted | None:
    """Return what AS OF asks for. Raises: InvalidParameterValue for NULL."""
    if as_of is None:
        return None
    value = literal_int(coord.planner.constant(as_of.time, params))
    if value is None:
        raise InvalidParameterValue("AS OF time must not be NULL")
    return Wanted(Timestamp(value), as_of.at_least)


def isolation_of(session: Session) -> Isolation:
    """Return the isolation level that reads of the session obey."""
    level = session.isolation()
    if level == Isolation.STRICT_SERIALIZABLE:
        return Isolation.STRICT_SERIALIZABLE
    if level == Isolation.STRONG_SESSION_SERIALIZABLE:
        return Isolation.STRONG_SESSION_SERIALIZABLE
    return Isolation.SERIALIZABLE


def choose_time(
    coord: Coordinator,
    session: Session,
    target: Target,
    relations: frozenset[GlobalId],
    wanted: Wanted | None,
    *,
    alone: bool,
    tells_time: bool = False,
) -> tuple[Determination, ReadHolds]:
    """Return the time at which to read ``relations``, and holds on what they are computed from.

    The first read of a transaction of several statements (not ``alone``) fixes the time for all; so
    does one that reads nothing but calls mz_now() (``tells_time``).
    """
    transaction = session.transaction
    alone = alone or wanted is not None  # AS OF: a time of its own
    bundle = bundle_of(coord.snapshot, coord.compute, target.cluster or ClusterId(""), relations)
    state = transaction.reads if wanted is None else None
    if state is not None:
        if state.domain is not None and not bundle.storage <= state.holds.ids:
            outside = relations - state.domain.relations
            transaction.check_domain(_names(coord, outside))
        _note_time(session, target, relations, state.determination)
        return state.determination, _within(coord, state, bundle)
    domain = None if alone else _time_domain(coord, relations)
    if domain is None and tells_time and not alone:
        domain = TimeDomain(frozenset(), ())
    oracle_ts = coord.oracle.read_ts()
    if domain is not None:
        whole = bundle_of(
            coord.snapshot, coord.compute, target.cluster or ClusterId(""), domain.relations
        )
        _leave_out_future(coord, whole, bundle, oracle_ts)
        bundle = whole
    holds = ReadHolds.acquire(coord.compute, coord.storage, bundle)
    try:
        chosen = determine(
            isolation_of(session),
            oracle_ts,
            holds.frontiers(coord.compute, coord.storage),
            wanted=wanted,
            session_ts=oracle_ts if session.inserts_unseen else Timestamp(session.last_ts),
            now_ms=coord.clock.now_ms(),
        )
        holds.downgrade(chosen.read_ts)
        _note_time(session, target, relations, chosen)
        if domain is None:
            return chosen, holds
        transaction.reads = ReadState(chosen, holds, domain)
        return chosen, holds.clone()
    except BaseException:
        holds.release()
        raise


def _note_time(
    session: Session, target: Target, relations: frozenset[GlobalId], chosen: Determination
) -> None:
    if session.sampled is not None and relations:
        session.sampled.note_time(target.cluster, target.name, chosen.read_ts)


def _leave_out_future(
    coord: Coordinator, bundle: Bundle, needed: Bundle, oracle_ts: Timestamp
) -> None:
    """Take out of a transaction's bundle what can't be read yet and is not needed at once.

    A view that is refreshed for the first time next year would have all reads wait until then.
    """
    for id in bundle.storage - needed.storage:
        since, _ = coord.storage.frontiers(id)
        if not less_equal(since, oracle_ts):
            bundle.storage.discard(id)
    for id in bundle.indexes - needed.indexes:
        since, _ = coord.compute.frontiers(bundle.cluster, id)
        if not less_equal(since, oracle_ts):
            bundle.indexes.discard(id)


def _within(coord: Coordinator, state: ReadState, bundle: Bundle) -> ReadHolds:
    """Return holds for a later read of a transaction; an index made meanwhile is not used."""
    held = state.holds.subset(bundle)
    missing = (bundle.storage | bundle.indexes) - held.ids
    if missing:
        more = Bundle(bundle.cluster)
        more.storage, more.indexes = bundle.storage & missing, bundle.indexes & missing
        extra = ReadHolds.acquire(coord.compute, coord.storage, more)
        held.extend(extra)
        late = [
            f
            for f in extra.frontiers(coord.compute, coord.storage)
            if f.since is None or f.since > state.determination.read_ts
        ]
        if late:
            held.release()
            raise InvalidTransactionState(
                "the query needs objects made after the transaction's first query",
                hint="Begin a new transaction.",
            )
    return held


def _time_domain(coord: Coordinator, relations: frozenset[GlobalId]) -> TimeDomain | None:
    """Return everything in the schemas of ``relations`` and in the system's; None without any."""
    if not relations:
        return None
    schemas = {coord.snapshot.item(id).schema for id in relations}
    schemas.update(schema.id for schema in coord.snapshot.schemas_in(None) if schema.id[0] == "s")
    items = [
        item
        for schema in schemas
        for item in coord.snapshot.items_in(schema)
        if isinstance(item, Relation)
    ]
    names = tuple(coord.snapshot.show_item(item) for item in items if not item.is_builtin)
    return TimeDomain(frozenset(item.id for item in items) | relations, names)


def _names(coord: Coordinator, ids: frozenset[GlobalId]) -> list[str]:
    items = (coord.snapshot.try_item(id) for id in ids)
    return [coord.snapshot.show_item(item) for item in items if item is not None]


def is_alone(session: Session, *, last: bool) -> bool:
    """Return whether a statement is the only one of its transaction."""
    return session.transaction.implicit and last and session.transaction.statements <= 1


async def plan_read(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    expr: RelationExpr,
    *,
    as_of: Wanted | None = None,
    alone: bool,
) -> Read:
    """Plan a read of ``expr`` (parameters filled in), with its time chosen and its holds taken.

    Cancellation: nothing is held.
    """
    target = choose_target(coord, session, planned)
    world = coord.planner.world(coord.snapshot, target.cluster)
    relations = frozenset(
        id for id in planned.depends_on if isinstance(coord.snapshot.try_item(id), Relation)
    )
    inlined = world.inline(expr)
    called = unmaterializable_of(inlined)
    tells_time = UnmaterializableFunc.MZ_NOW in called
    determination, holds = choose_time(
        coord, session, target, relations, as_of, alone=alone, tells_time=tells_time
    )
    try:
        ts = determination.read_ts
        if relations:
            session.last_ts = max(session.last_ts, ts)
        if called:
            values = session_values(coord, session)
            values[UnmaterializableFunc.MZ_NOW] = _value(r.integer(ts), scalar.MZ_TIMESTAMP)
            inlined = substitute_unmaterializable(inlined, values)
        object_id, index_id = coord.ids.transient(), coord.ids.transient()
        final = inlined

        def lower() -> tuple[RelationExpr, PeekPlan]:
            optimized = coord.planner.optimize(final, world)
            return optimized, plan_peek(
                optimized,
                world.lowering(),
                object_id=object_id,
                index_id=index_id,
                as_of=ts,
                until=Timestamp(ts + 1) if ts < TIMESTAMP_MAX else None,
            )

        optimized, plan = await coord.planner.perhaps_aside(is_long_plan(final), lower)
        if session.sampled is not None:
            _note_plan(session.sampled, plan, coord.clock.now_ms())
        if not determination.can_respond_immediately:
            coord.nudge_inputs(sorted(relations), ts)
        return Read(target, optimized, plan, ts, determination, holds)
    except BaseException:
        holds.release()
        raise


def _note_plan(execution: SampledExecution, plan: PeekPlan, now_ms: int) -> None:
    match plan:
        case ConstantPeek():
            execution.note_plan(CONSTANT, None, now_ms)
        case IndexPeek():
            execution.note_plan(FAST_PATH, None, now_ms)
        case DataflowPeek(index=index):
            execution.note_plan(STANDARD, index.id, now_ms)


async def until_present(coord: Coordinator, planned: Planned, read: Read) -> None:
    """Return once the oracle has come to the time of a strict serializable read.

    A view whose first refresh is next year is read at that time, and may be final long before. It
    is not told before: whoever reads after that is given an earlier time.
    """
    if read.determination.oracle_ts is None or read.ts <= coord.oracle.read_ts():
        return
    while (ahead_ms := read.ts - coord.oracle.read_ts()) > 0:
        await coord.clock.sleep(min(ahead_ms / _MILLIS, _PRESENT_POLL_S))
        coord.nudge_inputs(sorted(planned.depends_on), read.ts)


def source_of(
    coord: Coordinator, session: Session, read: Read, finishing: RowSetFinishing
) -> p.InlineRows | p.PeekSource:
    """Return where the front finds the rows of a read. Raises: the error of a constant."""
    match read.plan:
        case ConstantPeek(rows=rows, error=error):
            if error is not None:
                raise_fields(error)
            data = flat.build((row, TIMESTAMP_MIN, diff) for row, diff in rows)
            return p.InlineRows(rows=data, finishing=finishing)
        case IndexPeek(index=index, mfp=mfp):
            return _peek(coord, read, index.id, read.plan.key_rows(), mfp, finishing)
        case DataflowPeek(lowered=lowered, index=export, mfp=mfp):
            source = _peek(coord, read, export.id, None, mfp, finishing)
            return msgspec.structs.replace(
                source,
                before=(_encoder.encode(CreateDataflow(lowered.dataflow)),),
                after=(_encoder.encode(AllowCompaction(export.id, None)),),
            )


def _peek(
    coord: Coordinator,
    read: Read,
    target: GlobalId,
    keys: tuple[bytes, ...] | None,
    mfp: Mfp,
    finishing: RowSetFinishing,
) -> p.PeekSource:
    if read.target.cluster is None:
        raise InternalError("a peek without a cluster")
    uuid = coord.rng.token()
    peek = Peek(uuid, target, keys, read.ts, mfp, finishing, _RESULT_BYTES_MAX)
    watch_read(coord, read, uuid)
    return p.PeekSource(
        uuid=uuid,
        cluster=read.target.cluster,
        peek=_encoder.encode(peek),
        finishing=finishing,
        waiting_notice=_waiting_notice(coord, read),
        replica=read.target.replica,
    )


def watch_read(coord: Coordinator, read: Read, uuid: bytes) -> None:
    """Have the peek fail where it waits for what is damaged; until its holds are released."""
    inputs: list[tuple[ClusterId | None, GlobalId]] = []
    match read.plan:
        case IndexPeek(index=index):
            inputs.append((read.target.cluster, index.id))
        case DataflowPeek(lowered=lowered):
            inputs.extend((None, source.id) for source in lowered.dataflow.sources)
            inputs.extend((read.target.cluster, index.id) for index in lowered.dataflow.indexes)
    ts = read.ts
    coord.damage.watch(uuid, inputs, lambda: ts, lambda error: coord.peeks.fail_peek(uuid, error))
    read.holds.on_release = lambda: coord.damage.forget(uuid)


# The front knows the session's limit; replicas stop at the greatest that can be set.
_RESULT_BYTES_MAX = 1 << 40


def no_replicas(cluster: str) -> str:
    """Return what to say of a query on a cluster that nothing runs on."""
    return (
        f'cluster "{cluster}" has no replicas: the query waits until it has one '
        "(CREATE CLUSTER REPLICA, or ALTER CLUSTER … SET (REPLICATION FACTOR 1))"
    )


def _waiting_notice(coord: Coordinator, read: Read) -> str:
    assert read.target.cluster is not None
    if not coord.snapshot.cluster_by_id(read.target.cluster).replicas:
        return no_replicas(read.target.name)
    if not coord.compute.replicas(read.target.cluster):
        return f'waiting for a replica of cluster "{read.target.name}" to start'
    return (
        f'waiting for cluster "{read.target.name}" to reach timestamp {read.ts}: '
        "its inputs or indexes are still catching up"
    )


async def collect(
    coord: Coordinator, session: Session, read: Read, finishing: RowSetFinishing
) -> bytes:
    """Run a read for Python itself and return its rows as a flat batch; releases the holds."""
    try:
        source = source_of(coord, session, read, finishing)
        if isinstance(source, p.InlineRows):
            return finish(source.rows, finishing)
        bytes_max = bytes_count(session.variables.get("max_result_size"))
        source = msgspec.structs.replace(source, max_result_bytes=bytes_max)
        return await coord.peeks.collect_peek(source)
    finally:
        read.holds.release()


def identity_finishing(arity: int) -> RowSetFinishing:
    """Return the finishing that changes nothing."""
    return RowSetFinishing((), None, 0, tuple(range(arity)))
