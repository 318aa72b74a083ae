"""SQL over a catalog of TPC-H and auction tables, down to plans: for golden files and timing."""

from types import SimpleNamespace

from headwater.catalog.items import (
    Cluster,
    Database,
    Index,
    Replica,
    ReplicaSize,
    Role,
    Schema,
    Table,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.ir.dataflow import IndexImport, SourceImport
from headwater.ir.relation import RelationExpr
from headwater.ir.scalar import Column as ColumnExpr
from headwater.sql.lower.dataflow import LowerContext
from headwater.sql.lower.peek import project_for_finishing
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan import plan_statement
from headwater.sql.plan.decorrelate import decorrelate
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BaseType, ScalarType
from tests.golden.workloads.schemas import TPCH
from tests.property.plans import python_fold

SESSION = SimpleNamespace(
    search_path=("public",),
    database="materialize",
    cluster="quickstart",
    user="materialize",
    temp_schema=None,
)

# name: columns "name type[!]" (! is NOT NULL); keys
TABLES = {
    **TPCH,
    "auctions": (
        "id int8! seller int8! item text! end_time timestamptz!",
        ((0,),),
    ),
    "bids": ("id int8! buyer int8! auction_id int8! amount int4! bid_time timestamptz!", ((0,),)),
    "users": ("id int8! org_id int8! name text!", ((0,),)),
    "t": ("a int4 b int4", ()),
    "s": ("a int4 c text", ()),
    "keyed": ("k int4! v int4 w text", ((0,),)),
}
# name of the index: table, columns
INDEXES = {
    "keyed_k": ("keyed", (0,)),
    "users_id": ("users", (0,)),
    "auctions_id": ("auctions", (0,)),
    "auctions_seller": ("auctions", (1,)),
    "bids_auction": ("bids", (2,)),
}


def desc_of(columns: str, keys) -> RelationDesc:
    words = columns.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return RelationDesc(
        tuple(
            Column(name, ScalarType(BaseType(type_.rstrip("!"))), not type_.endswith("!"))
            for name, type_ in pairs
        ),
        keys,
    )


DESCS = {name: desc_of(*definition) for name, definition in TABLES.items()}
IDS = {name: f"u{number}" for number, name in enumerate(TABLES, 1)}
NAMES = {IDS[name]: f"materialize.public.{name}" for name in TABLES}
INDEX_IDS = {name: f"u{100 + number}" for number, name in enumerate(INDEXES)}


def make_catalog(descs=DESCS, indexes=INDEXES) -> CatalogSnapshot:
    """Return a catalog of tables, numbered from u1, and of indexes on them, from u100."""
    ids = {name: f"u{number}" for number, name in enumerate(descs, 1)}
    items = [
        Table(
            id=ids[name],
            oid=20000 + number,
            name=name,
            schema="u1",
            owner="u1",
            create_sql="",
            desc=desc,
            shard=f"s{number}",
            defaults=(None,) * desc.arity,
        )
        for number, (name, desc) in enumerate(descs.items())
    ]
    items += [
        Index(
            id=f"u{100 + number}",
            oid=30000 + number,
            name=name,
            schema="u1",
            owner="u1",
            on=ids[on],
            key=tuple(map(ColumnExpr, key)),
            cluster="u1",
            depends_on=(ids[on],),
        )
        for number, (name, (on, key)) in enumerate(indexes.items())
    ]
    schemas = [
        Schema(id="s1", oid=1, name="mz_catalog", owner="s1"),
        Schema(id="s2", oid=2, name="pg_catalog", owner="s1"),
        Schema(id="s3", oid=3, name="mz_internal", owner="s1"),
        Schema(id="u1", oid=20100, name="public", owner="u1", database="u1"),
    ]
    replica = Replica(id="u1", name="r1", cluster="u1", owner="u1", size="1")
    cluster = Cluster(
        id="u1",
        name="quickstart",
        owner="u1",
        size="1",
        replication_factor=1,
        replicas=(replica,),
    )
    size = ReplicaSize(name="1", processes=1, workers=1, cpu_nano_cores=1, memory_bytes=1)
    return CatalogSnapshot(
        version=1,
        databases={"u1": Database(id="u1", oid=20200, name="materialize", owner="u1")},
        schemas={schema.id: schema for schema in schemas},
        items={item.id: item for item in items},
        clusters={"u1": cluster},
        roles={"u1": Role(id="u1", oid=20300, name="materialize", superuser=True)},
        sizes={"1": size},
        variables={},
        comments={},
    )


CATALOG = make_catalog()


def indexes(names=tuple(INDEXES)):
    found: dict[str, tuple[IndexImport, ...]] = {}
    for name in names:
        on, key = INDEXES[name]
        identifier = IDS[on]
        index = IndexImport(
            INDEX_IDS[name], identifier, tuple(map(ColumnExpr, key)), DESCS[on].arity
        )
        found[identifier] = (*found.get(identifier, ()), index)
    return found


def collections():
    return {
        IDS[name]: SourceImport(IDS[name], f"shard-{name}", DESCS[name], table=True)
        for name in TABLES
    }


def lower_context(with_indexes=True) -> LowerContext:
    return LowerContext(collections=collections(), indexes=indexes() if with_indexes else {})


def optimizer_context(with_indexes=True) -> OptimizerContext:
    return OptimizerContext(indexes=indexes() if with_indexes else {}, fold=python_fold)


def plan_sql(sql: str) -> RelationExpr:
    """Return the decorrelated plan of a query, with the columns its answer is made of."""
    selected = plan_select(sql)
    expr, _ = project_for_finishing(decorrelate(selected.query), selected.finishing)
    return expr


def plan_hir(sql: str):
    return plan_select(sql).query


def plan_select(sql: str):
    (statement,) = parse_statements(sql)
    return plan_statement(CATALOG, SESSION, statement.statement).plan
