"""A small catalog to plan against, and short ways to plan and to show plans."""

from types import SimpleNamespace

from headwater.catalog.items import (
    Cluster,
    Connection,
    Database,
    Index,
    MaterializedView,
    Replica,
    ReplicaSize,
    Role,
    Schema,
    Secret,
    Source,
    Table,
    Type,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import HeadwaterError
from headwater.ir.relation import Constant
from headwater.ir.scalar import Column as ColumnExpr
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan import plan_statement
from headwater.sql.plan.explain_hir import show_finishing, show_hir
from headwater.sql.plan.statements import SelectPlan
from headwater.sql.resolve.datatypes import show_type
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import (
    BOOL,
    DATE,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    JSONB,
    NUMERIC,
    TEXT,
    TIMESTAMP,
    array_of,
    list_of,
    map_of,
)

SESSION = SimpleNamespace(
    search_path=("public",),
    database="materialize",
    cluster="quickstart",
    user="materialize",
    temp_schema=None,
)


def desc(*columns, keys=()):
    """Return columns written (name, type) or (name, type, nullable)."""
    return RelationDesc(
        tuple(Column(c[0], c[1], c[2] if len(c) > 2 else True) for c in columns), keys
    )


def _table(number, name, description, schema="u1", **more):
    return Table(
        id=f"u{number}",
        oid=20000 + number,
        name=name,
        schema=schema,
        owner="u1",
        create_sql=more.pop("create_sql", f"CREATE TABLE {name} ()"),
        desc=description,
        shard=f"s{number}",
        defaults=more.pop("defaults", (None,) * description.arity),
        **more,
    )


def make_catalog() -> CatalogSnapshot:
    """Return a catalog with a few tables, a source, a view of each kind, clusters."""
    items = [
        _table(1, "t", desc(("a", INT4), ("b", TEXT), ("c", INT8, False))),
        _table(2, "u", desc(("a", INT4, False), ("d", NUMERIC), ("e", FLOAT8))),
        _table(3, "w", desc(("a", INT8), ("x", TIMESTAMP), ("y", DATE), ("s", INT2))),
        _table(4, "j", desc(("id", INT4, False), ("doc", JSONB), ("tags", array_of(TEXT)))),
        _table(5, "l", desc(("ls", list_of(INT4)), ("m", map_of(TEXT)), ("ok", BOOL))),
        _table(6, "t", desc(("z", INT4)), schema="u3"),
        _table(
            7,
            "dflt",
            desc(("id", INT4, False), ("n", INT4), ("name", TEXT, False)),
            create_sql="CREATE TABLE dflt (id int4 NOT NULL, n int4 DEFAULT 7,"
            " name text NOT NULL DEFAULT 'none')",
        ),
        Source(
            id="u8",
            oid=20008,
            name="counter",
            schema="u1",
            owner="u1",
            desc=desc(("counter", INT8, False)),
            source_kind="load-generator",
        ),
        MaterializedView(
            id="u9",
            oid=20009,
            name="mv",
            schema="u1",
            owner="u1",
            desc=desc(("a", INT4), ("n", INT8, False)),
            expr=Constant((), desc(("a", INT4), ("n", INT8, False))),
            shard="s9",
            cluster="u1",
            depends_on=("u1",),
        ),
        Index(
            id="u10",
            oid=20010,
            name="t_a_idx",
            schema="u1",
            owner="u1",
            on="u1",
            key=(ColumnExpr(0),),
            cluster="u1",
            depends_on=("u1",),
        ),
        Connection(
            id="u11", oid=20011, name="kafka", schema="u1", owner="u1", connection_kind="kafka"
        ),
        Secret(id="u12", oid=20012, name="pw", schema="u1", owner="u1"),
        Type(
            id="u13",
            oid=20013,
            name="ints",
            schema="u1",
            owner="u1",
            type=list_of(INT4),
        ),
        Connection(
            id="u14", oid=20014, name="csr", schema="u1", owner="u1", connection_kind="registry"
        ),
    ]
    schemas = [
        Schema(id="s1", oid=1, name="mz_catalog", owner="s1"),
        Schema(id="s2", oid=2, name="pg_catalog", owner="s1"),
        Schema(id="s3", oid=3, name="mz_internal", owner="s1"),
        Schema(id="u1", oid=20100, name="public", owner="u1", database="u1"),
        Schema(id="u3", oid=20102, name="other", owner="u1", database="u1"),
    ]
    replica = Replica(id="u1", name="r1", cluster="u1", owner="u1", size="1")
    clusters = [
        Cluster(
            id="u1",
            name="quickstart",
            owner="u1",
            size="1",
            replication_factor=1,
            replicas=(replica,),
        ),
        Cluster(id="u2", name="idle", owner="u1", managed=False),
    ]
    sizes = [
        ReplicaSize(name=n, processes=1, workers=w, cpu_nano_cores=1, memory_bytes=1)
        for n, w in (("1", 1), ("2", 2), ("25cc", 1))
    ]
    shown = (
        ("mz_show_tables", desc(("schema_id", TEXT), ("name", TEXT), ("source_id", TEXT))),
        ("mz_show_columns", desc(("id", TEXT), ("name", TEXT), ("position", INT8))),
    )
    comment = Column("comment", TEXT, False)
    for number, (name, description) in enumerate(shown):
        more = [Column(c, TEXT) for c in ("nullable", "type")] if "columns" in name else []
        columns = (*description.columns, *more, comment)
        items.append(
            Table(
                id=f"s{100 + number}",
                oid=100 + number,
                name=name,
                schema="s3",
                owner="s1",
                desc=RelationDesc(columns),
                shard="s",
            )
        )
    return CatalogSnapshot(
        version=1,
        databases={"u1": Database(id="u1", oid=20200, name="materialize", owner="u1")},
        schemas={schema.id: schema for schema in schemas},
        items={item.id: item for item in items},
        clusters={cluster.id: cluster for cluster in clusters},
        roles={"u1": Role(id="u1", oid=20300, name="materialize", superuser=True)},
        sizes={size.name: size for size in sizes},
        variables={},
        comments={},
    )


CATALOG = make_catalog()


def plan(sql, *params, catalog=None):
    """Plan the one statement of ``sql``."""
    (parsed,) = parse_statements(sql)
    return plan_statement(catalog or CATALOG, SESSION, parsed.statement, tuple(params))


def show(sql, *params):
    """Return the raw plan of a query as text."""
    selected = plan(sql, *params).plan
    lines = [show_hir(selected.query)]
    finishing = selected.finishing
    arity = selected.desc.arity
    plain = finishing.project == tuple(range(arity)) and finishing.limit is None
    if not plain or finishing.order_by or finishing.offset:
        lines.insert(0, show_finishing(finishing))
    return "\n".join(lines)


def show_statement(sql):
    """Return a statement's plan as text: queries as trees, other fields that are set as lines."""
    planned = plan(sql)
    found = planned.plan
    if isinstance(found, SelectPlan):
        return show(sql)
    lines = [type(found).__name__]
    for field in found.__struct_fields__:
        value = getattr(found, field)
        if field in ("query", "selection", "values"):
            lines.append(f"{field}:")
            lines.extend("  " + line for line in show_hir(value).splitlines())
        elif isinstance(value, RelationDesc):
            lines.append(f"{field}: {show_desc(value)}")
        elif field not in ("finishing", "columns") and value not in (None, (), False):
            lines.append(f"{field}: {value}")
    return "\n".join(lines)


def show_desc(found):
    """Return columns as ``name type[!]``, and keys."""
    columns = ", ".join(
        f"{c.name} {show_type(c.type, modifier=True)}{'' if c.nullable else '!'}"
        for c in found.columns
    )
    return f"({columns})" + "".join(f" key{key}" for key in found.keys)


def error_of(sql):
    """Return the error that planning raises: code, message, then what is set of the rest."""
    try:
        plan(sql)
    except HeadwaterError as error:
        lines = [f"{error.sqlstate} {error.message}"]
        for field in ("position", "detail", "hint"):
            value = getattr(error, field)
            if value:
                lines.append(f"{field}: {value}")
        return "\n".join(lines)
    raise AssertionError(f"no error: {sql}")


def types_of(sql, *params):
    """Return the types of a query's columns as base names."""
    columns = plan(sql, *params).result_desc.columns
    return [column.type.base.value for column in columns]
