"""Random trees of the SQL grammar, for the property parse(print(tree)) == tree.

Trees come from the nodes' own type hints, so a new node or field is covered without a change here.
What the hints cannot say (an IN list of one subquery *is* IN (subquery)) stands in ``_CANONICAL``:
a function from a node as generated to the nearest one that the parser would make.
"""

import enum
import types
import typing
from collections.abc import Callable

import msgspec
from hypothesis import strategies as st

from headwater.sql.ast import (
    base,
    column,
    connector,
    control,
    ddl,
    dml,
    explain,
    option,
    query,
    session,
    show,
    statement,
)
from headwater.sql.ast.base import Node, ObjectKind, ObjectName

_MODULES = (
    base,
    query,
    column,
    option,
    dml,
    session,
    show,
    explain,
    connector,
    ddl,
    control,
    statement,
)
_NAMESPACE = {name: value for module in _MODULES for name, value in vars(module).items()}

DEPTH = 4

_WORDS = [
    *["a", "b", "c1", "t", "Mixed", 'quo"te', "sp ace", "größe", "ß", "_x$1", "1st", "é"],
    *["select", "from", "order", "user", "end", "list", "map", "array", "row", "case", "cast"],
    *["not", "true", "null", "default", "values", "table", "show", "interval", "date", "time"],
    *["timestamp", "extract", "position", "substring", "trim", "overlay", "normalize", "left"],
    *["current_date", "coalesce", "exists", "double", "char", "any", "all", "rows", "range"],
    *["partition", "of", "up", "to", "at", "as", "on", "using", "with", "year", "day", "asc"],
    *["window", "filter", "over", "within", "secret", "key", "format", "options", "lateral"],
    *["cube", "rollup", "grouping", "recursive", "mutually", "distinct", "symmetric", "only"],
    *["nulls", "limit", "offset", "fetch", "for", "public", "group", "system", "cluster"],
    *["numeric", "decimal", "varchar", "int", "bigint", "json", "replica", "in", "is", "like"],
    *["names", "schema", "local", "session", "transaction", "tables", "sources", "objects"],
    *["nfc", "create", "columns", "primary", "unique", "check", "foreign", "constraint", "if"],
    *["then", "when", "else", "and", "or", "join", "cross", "full", "union", "set", "envelope"],
]
identifiers = st.sampled_from(_WORDS)
free_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | st.sampled_from(["", "'", "\\", "--", "/*", "a'b", "$$", "\n"])
_BINARY = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "=",
    "<>",
    "<",
    ">=",
    "||",
    "->",
    "->>",
    "@>",
    "~",
    "!~*",
    "&&",
]
_UNARY = ["-", "+", "~", "@", "|/", "!!"]
_GLOBAL = (ObjectKind.CLUSTER, ObjectKind.DATABASE, ObjectKind.ROLE, ObjectKind.NETWORK_POLICY)
_NAMED_KINDS = [kind for kind in ObjectKind if kind not in (ObjectKind.SYSTEM, ObjectKind.OBJECT)]
_FREE = {
    *["value", "text", "pattern", "schema", "message", "address", "header", "inline", "delimiter"],
    *["password", "shard"],
}
_NO_FREE = {("SubscribeX", "value")}


class Gen:
    """Draws nodes; ``depth`` levels remain before only leaves are taken."""

    def __init__(self, draw: Callable[..., typing.Any]) -> None:
        self.draw = draw

    def one(self, options: typing.Sequence[typing.Any]) -> typing.Any:
        """Draw one of a few values."""
        return self.draw(st.sampled_from(options))

    def name(self) -> str:
        """Draw an identifier."""
        return self.draw(identifiers)

    def flag(self) -> bool:
        """Draw a truth value, mostly false."""
        return self.draw(st.integers(0, 3)) == 3

    # --- by type hint -----------------------------------------------------------------------------

    def value(self, hint: typing.Any, depth: int, field: str = "") -> typing.Any:
        """Draw a value of a type hint."""
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union(typing.get_args(hint), depth, field)
        if origin is tuple:
            item = typing.get_args(hint)[0]
            few = 2 if depth > 0 else 1
            return tuple(self.value(item, depth, field) for _ in range(self._count(few, hint)))
        if hint is bool:
            return self.flag()
        if hint is str:
            return self.draw(free_text) if field in _FREE else self.name()
        if hint is int:
            return self.draw(st.integers(0, 99))
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self.one(list(hint))
        if hint is Node:
            return self.statement(depth)
        if hint is show.Show or hint is query.Show:
            return self.node(self.one(_RELATION_SHOWS), depth)
        if isinstance(hint, type) and issubclass(hint, Node):
            return self.node(hint, depth)
        raise TypeError(hint)

    def _count(self, most: int, hint: typing.Any) -> int:
        return self.draw(st.integers(0, most))

    def _union(self, options: tuple[typing.Any, ...], depth: int, field: str) -> typing.Any:
        plain = [one for one in options if one is not types.NoneType]
        if len(plain) < len(options) and (depth <= 0 or self.flag() or self.flag()):
            return None
        if set(_EXPRESSIONS) <= set(plain):
            others = [one for one in plain if one not in _EXPRESSIONS and one not in _PLACED]
            if not others or depth <= 0 or not self.flag():
                return self.expression(depth)
            plain = others
        if set(_STATEMENTS) <= set(plain):
            return self.statement(depth)
        if set(_SET_EXPRESSIONS) <= set(plain) and depth <= 0:
            return self.node(query.TableQuery, 0)
        if query.Join in plain and depth <= 0:
            return self.node(query.TableRef, 0)
        if base.NamedType in plain and depth <= 0:
            return self.node(base.NamedType, 0)
        return self.value(self.one(plain), depth, field)

    def node(self, cls: type[Node], depth: int) -> typing.Any:
        """Draw a node of a class, in the form in which the parser makes it."""
        own = _OWN.get(cls)
        if own is not None:
            return own(self, depth)
        hints = _hints(cls)
        fields = {
            field: self.value(hints[field], depth - 1, field)
            for field in cls.__struct_fields__
            if field != "position"
        }
        canonical = _CANONICAL.get(cls)
        return cls(**(fields if canonical is None else canonical(self, fields, depth)))

    def expression(self, depth: int) -> typing.Any:
        """Draw an expression."""
        leaves = [cls for cls in _LEAVES if cls is not query.Default]
        return self.node(self.one(leaves if depth <= 0 else _ANYWHERE), depth)

    def statement(self, depth: int) -> typing.Any:
        """Draw a statement."""
        cls = self.one(_STATEMENTS)
        if cls is query.Query:
            drawn = self.node(cls, depth)
            bare = drawn == query.Query(drawn.body)
            return drawn.body if bare and isinstance(drawn.body, query.Show) else drawn
        return self.value(cls, depth)

    def names(self, least: int = 1) -> tuple[str, ...]:
        """Draw unqualified names."""
        return tuple(self.name() for _ in range(self.draw(st.integers(least, 2))))

    def object_name(self, *, resolved: bool = True) -> ObjectName:
        """Draw a name, rarely a resolved one."""
        item = "u7" if resolved and self.flag() and self.flag() else None
        return ObjectName(self.names(), item, 3 if item and self.flag() else None)

    def some(self, draw_one: Callable[[], typing.Any], least: int = 1) -> tuple[typing.Any, ...]:
        """Draw a few of something."""
        return tuple(draw_one() for _ in range(self.draw(st.integers(least, 2))))

    def options(self, depth: int, least: int = 0) -> tuple[option.Option, ...]:
        """Draw options."""
        return self.some(lambda: self.node(option.Option, depth), least)


def _hints(cls: type[Node]) -> dict[str, typing.Any]:
    return typing.get_type_hints(cls, globalns=_NAMESPACE)


_EXPRESSIONS = typing.get_args(query.Expr)
_SET_EXPRESSIONS = (query.Select, query.SetOperation, query.Values)
_PLACED = (
    query.Wildcard,
    query.QualifiedWildcard,
    query.RecordWildcard,
    query.Default,
    query.NamedArgument,
)
_ANYWHERE = [cls for cls in _EXPRESSIONS if cls not in _PLACED]
_LEAVES = (
    *(query.Identifier, query.Number, query.String, query.Boolean, query.Null, query.Parameter),
    query.IntervalLiteral,
)
_STATEMENTS = typing.get_args(statement.Statement)
_RELATION_SHOWS = [
    *(show.ShowObjects, show.ShowColumns, show.ShowCreate, show.ShowPrivileges),
    *(show.ShowRoleMembership, show.InspectShard),
]

Fields = dict[str, typing.Any]


# --- nodes drawn by hand --------------------------------------------------------------------------


def _number(g: Gen, depth: int) -> query.Number:
    return query.Number(g.one(["0", "1", "42", "1.5", ".5", "1e10", "-3", "-0.1"]))


def _interval(g: Gen, depth: int) -> query.IntervalLiteral:
    fields = list(query.IntervalField)
    leading = g.one([None, *fields])
    trailing = None
    if leading is not None and leading is not fields[-1]:
        trailing = g.one([None, *fields[fields.index(leading) + 1 :]])
    return query.IntervalLiteral(g.one(["1", "1 day", "-2"]), leading, trailing, g.one([None, 3]))


def _unary(g: Gen, depth: int) -> typing.Any:
    operator = g.one(_UNARY)
    schema = ("pg_catalog",) if g.flag() else ()
    operand = g.expression(depth - 1)
    literal = isinstance(operand, query.Number) and not operand.text.startswith("-")
    if operator == "-" and not schema and literal:
        return query.Number("-" + operand.text)
    return query.UnaryOp(operator, operand, schema)


def _binary(g: Gen, depth: int) -> query.BinaryOp:
    schema = ("pg_catalog",) if g.flag() else ()
    left, right = g.expression(depth - 1), g.expression(depth - 1)
    return query.BinaryOp(g.one(_BINARY), left, right, schema)


def _any_all(g: Gen, depth: int) -> query.AnyAll:
    right = g.expression(depth - 1)
    if isinstance(right, query.Subquery):
        right = right.query
    left = g.expression(depth - 1)
    return query.AnyAll(left, g.one(_BINARY), right, g.flag())


def _in_list(g: Gen, depth: int) -> typing.Any:
    items = g.some(lambda: g.expression(depth - 1), 0)
    left = g.expression(depth - 1)
    if len(items) == 1 and isinstance(items[0], query.Subquery):
        return query.InSubquery(left, items[0].query)
    return query.InList(left, items, g.flag())


def _function(g: Gen, depth: int) -> query.Function:
    name = g.object_name(resolved=False)
    if g.flag():
        return query.Function(name, star=True)
    arguments = g.some(lambda: _argument(g, depth - 1), 0)
    drawn = g.node(_Decoration, depth - 1)
    given = bool(arguments)
    return query.Function(
        name,
        arguments,
        distinct=given and g.flag(),
        variadic=given and g.flag(),
        order_by=drawn.order_by if given else (),
        within_group=drawn.within_group,
        filter=drawn.filter,
        nulls=drawn.nulls,
        over=drawn.over,
    )


class _Decoration(Node, frozen=True):
    order_by: tuple[query.OrderItem, ...]
    within_group: tuple[query.OrderItem, ...]
    filter: query.Expr | None
    nulls: query.Nulls | None
    over: query.WindowSpec | str | None


def _argument(g: Gen, depth: int) -> typing.Any:
    if g.flag() and g.flag():
        return query.NamedArgument(g.name(), g.expression(depth))
    return g.expression(depth)


def _query(g: Gen, depth: int) -> query.Query:
    body = _bare(g.value(query.SetExpr, depth - 1))
    drawn = g.node(_Clauses, depth - 1)
    ties = drawn.limit is not None and drawn.with_ties
    bare = drawn == _Clauses((), None, None, drawn.with_ties, None, None)
    if isinstance(body, query.Query) and bare:
        return body
    if isinstance(body, query.Query) and any(
        own and other
        for own, other in (
            (body.order_by, drawn.order_by),
            (body.limit, drawn.limit),
            (body.offset, drawn.offset),
        )
    ):
        return body  # the same clause twice is refused
    return query.Query(
        body, drawn.with_, drawn.order_by, drawn.limit, drawn.offset, ties, drawn.as_of
    )


class _Clauses(Node, frozen=True):
    order_by: tuple[query.OrderItem, ...]
    limit: query.Expr | None
    offset: query.Expr | None
    with_ties: bool
    as_of: query.AsOf | None
    with_: query.With | query.WithMutuallyRecursive | None


def _bare(drawn: typing.Any) -> typing.Any:
    """Return what parentheses around a query without clauses stand for."""
    if isinstance(drawn, query.Query) and drawn == query.Query(drawn.body):
        return _bare(drawn.body)
    return drawn


def _join(g: Gen, depth: int) -> query.Join:
    left, right = (g.value(query.TableExpr, depth - 1) for _ in range(2))
    kind = g.one(list(query.JoinKind))
    if kind is query.JoinKind.CROSS:
        return query.Join(kind, left, right)
    shape = g.one([query.JoinOn, query.JoinUsing, query.JoinNatural])
    return query.Join(kind, left, right, g.node(shape, depth - 1))


def _table_alias(g: Gen, depth: int) -> query.TableAlias:
    names = g.names(0)
    typed = g.flag() and depth > 0
    of = tuple(g.value(base.DataType, depth - 1) for _ in names) if typed else ()
    return query.TableAlias(g.name(), names, of)


def _select_item(g: Gen, depth: int) -> query.SelectItem:
    shape = g.draw(st.integers(0, 9))
    if shape == 0:
        return query.SelectItem(query.Wildcard())
    if shape == 1:
        return query.SelectItem(query.QualifiedWildcard(g.names()))
    found = g.expression(depth - 1)
    if shape == 2:
        return query.SelectItem(query.RecordWildcard(found))
    return query.SelectItem(found, g.one([None, g.name()]))


def _values(g: Gen, depth: int) -> query.Values:
    def cell() -> typing.Any:
        return query.Default() if g.flag() and g.flag() else g.expression(depth - 1)

    return query.Values(g.some(lambda: g.some(cell)))


def _bound(g: Gen, depth: int) -> query.FrameBound:
    kind = g.one(list(query.FrameBoundKind))
    moving = kind in (query.FrameBoundKind.PRECEDING, query.FrameBoundKind.FOLLOWING)
    return query.FrameBound(kind, g.expression(depth - 1) if moving else None)


def _hint(g: Gen, depth: int) -> query.SelectHint:
    names = ["aggregate input group size", "expected group size", "limit input group size"]
    return query.SelectHint(g.one(names), g.one([None, query.Number("5")]))


def _option(g: Gen, depth: int) -> option.Option:
    text = query.String(g.draw(free_text))
    word = g.object_name(resolved=False)
    inner = g.options(depth - 1) if depth > 0 else ()
    tunnel = option.Tunnel(g.flag(), g.object_name(resolved=False), inner)
    broker = option.BrokerAddress("h:1", g.one([None, tunnel]), g.flag())
    some_text = option.OptionList((text, text))
    every = option.Refresh(option.RefreshKind.EVERY, text, g.one([None, text]))
    return g.one(
        [
            option.Option("size", text),
            option.Option("progress"),
            option.Option("managed", query.Boolean(False)),
            option.Option("port", query.Number("9092")),
            option.Option("format", word),
            option.Option("some_flag", word),
            option.Option("password", option.SecretRef(word)),
            option.Option("element type", option.TypeValue(g.value(base.DataType, depth - 1))),
            option.Option("availability zones", some_text),
            option.Option("topic config", option.OptionMap((option.OptionMapEntry("k", text),))),
            option.Option("broker", broker),
            option.Option("brokers", option.OptionList((broker, broker))),
            option.Option("text columns", option.OptionList((word, word))),
            option.Option("assert not null", word),
            option.Option("partition by", option.OptionList((ObjectName((g.name(),)),))),
            option.Option("partition by", query.BinaryOp("+", query.Number("1"), text)),
            option.Option("aws privatelink", option.RelationWithOptions(word, inner)),
            option.Option("refresh", option.Refresh(option.RefreshKind.ON_COMMIT)),
            option.Option("refresh", option.Refresh(option.RefreshKind.AT, text)),
            option.Option("refresh", every),
            option.Option("retain history", text),
            option.Option("schedule", option.Schedule(False)),
            option.Option("schedule", option.Schedule(True, inner)),
            option.Option("replicas", option.OptionList((option.ReplicaDefinition("r", inner),))),
            option.Option("rules", option.OptionList((option.PolicyRule(g.name(), inner),))),
            option.Option("value doc on column", option.Documentation(word, text)),
            option.Option("wait until ready", option.RelationWithOptions(ObjectName(()), inner)),
        ]
    )


def _constraint(g: Gen, *, of_table: bool, depth: int) -> ddl.Constraint:
    kinds = ddl.ConstraintKind
    name = g.one([None, g.name()])
    kind = g.one(
        [kinds.CHECK, kinds.UNIQUE, kinds.PRIMARY_KEY, kinds.FOREIGN_KEY]
        + ([] if of_table else [kinds.NOT_NULL, kinds.NULL, kinds.DEFAULT])
    )
    columns = g.names() if of_table else ()
    if kind in (kinds.CHECK, kinds.DEFAULT):
        return ddl.Constraint(kind, name, expression=g.expression(depth - 1))
    if kind is kinds.FOREIGN_KEY:
        target = g.object_name(resolved=False)
        return ddl.Constraint(kind, name, columns, None, target, g.names(0))
    if kind in (kinds.UNIQUE, kinds.PRIMARY_KEY) and of_table:
        distinct = kind is kinds.UNIQUE and g.flag()
        return ddl.Constraint(
            kind, name, columns, enforced=not g.flag(), nulls_not_distinct=distinct
        )
    return ddl.Constraint(kind, name)


def _table_column(g: Gen, depth: int) -> ddl.TableColumn:
    constraints = g.some(lambda: _constraint(g, of_table=False, depth=depth), 0)
    return ddl.TableColumn(g.name(), g.value(base.DataType, depth - 1), constraints)


def _include(g: Gen, depth: int) -> connector.Include:
    kinds = connector.IncludeKind
    kind = g.one(list(kinds))
    if kind is kinds.HEADER:
        return connector.Include(kind, g.name(), header="h", bytes=g.flag())
    if kind is kinds.KEY and g.flag():
        return connector.Include(kind, aliases=g.names())
    return connector.Include(kind, g.one([None, g.name()]))


def _webhook_include(g: Gen) -> connector.Include:
    kinds = connector.IncludeKind
    if g.flag():
        return connector.Include(kinds.HEADER, g.name(), header="h", bytes=g.flag())
    filters = g.some(lambda: connector.HeaderFilter(g.draw(free_text), g.flag()), 0)
    return connector.Include(kinds.HEADERS, g.one([None, g.name()]), filters=filters)


def _envelope(g: Gen, depth: int) -> connector.Envelope:
    kind = g.one(list(connector.EnvelopeKind))
    if kind is connector.EnvelopeKind.UPSERT and g.flag():
        return connector.Envelope(kind, True, g.one([None, g.name()]))
    return connector.Envelope(kind)


def _avro(g: Gen, depth: int) -> connector.AvroFormat:
    if g.flag():
        return connector.AvroFormat(options=g.options(depth - 1), schema="{}")
    strategy = connector.SchemaStrategy
    how = [None, strategy(), strategy(3), strategy(inline="x")]
    side = connector.SeedSide("{}", g.one([None, "m"]))
    seed = g.one([None, connector.Seed(g.one([None, side]), side)])
    registry = g.object_name()
    options = g.options(depth - 1)
    return connector.AvroFormat(registry, options, g.one(how), g.one(how), seed=seed)


def _protobuf(g: Gen, depth: int) -> connector.ProtobufFormat:
    if g.flag():
        return connector.ProtobufFormat(message="m", schema="s")
    return connector.ProtobufFormat(g.object_name(), g.options(depth - 1))


def _csv(g: Gen, depth: int) -> connector.CsvFormat:
    delimiter = g.one([None, "|"])
    if g.flag():
        return connector.CsvFormat(None, g.names(0), delimiter)
    return connector.CsvFormat(3, None, delimiter)


def _json(g: Gen, depth: int) -> connector.JsonFormat:
    if g.flag():
        return connector.JsonFormat(array=True)
    return connector.JsonFormat(g.some(lambda: g.node(base.ColumnDefinition, depth - 1), 0))


def _source_kind(g: Gen, depth: int) -> connector.ConnectionSource:
    kinds = connector.ConnectionKind
    kind = g.one([kinds.KAFKA, kinds.POSTGRES, kinds.MYSQL, kinds.SQL_SERVER])
    return connector.ConnectionSource(kind, g.object_name(), g.options(depth - 1))


def _set_transaction(g: Gen, depth: int) -> session.SetTransaction:
    modes = g.some(lambda: g.value(session.TransactionMode, 0))
    return session.SetTransaction(modes, g.flag())


def _variable_values(g: Gen) -> tuple[typing.Any, ...]:
    one = [ObjectName((g.name(),)), query.String("x"), query.Number("-3"), query.Boolean(True)]
    return g.some(lambda: g.one(one), 0)


def _explain_object(g: Gen, depth: int) -> explain.ExplainObject:
    kind = g.one([ObjectKind.VIEW, ObjectKind.MATERIALIZED_VIEW, ObjectKind.INDEX])
    return explain.ExplainObject(kind, g.object_name(), g.flag())


def _merge_clause(g: Gen, depth: int) -> dml.MergeClause:
    match, action = g.one(list(dml.MergeMatch)), g.one(list(dml.MergeAction))
    condition = g.one([None, g.expression(depth - 1)])
    if action is dml.MergeAction.UPDATE:
        changes = g.some(lambda: g.node(dml.Assignment, depth - 1))
        return dml.MergeClause(match, action, condition, changes)
    if action is dml.MergeAction.INSERT:
        values = g.some(lambda: g.expression(depth - 1), 0)
        return dml.MergeClause(match, action, condition, (), g.names(0), values)
    return dml.MergeClause(match, action, condition)


def _grant_target(g: Gen, depth: int) -> control.GrantTarget:
    kind = g.one([kind for kind in _NAMED_KINDS if kind is not ObjectKind.COLUMN])
    shape = g.draw(st.integers(0, 2))
    if shape == 0:
        return control.GrantTarget(ObjectKind.SYSTEM)
    if shape == 1:
        schemas = g.some(g.object_name, 0)
        databases = () if schemas else g.names(0)
        return control.GrantTarget(kind, (), True, schemas, databases)
    return control.GrantTarget(kind, g.some(g.object_name))


# --- corrections of nodes drawn from their hints --------------------------------------------------


def _fix(**fixed: Callable[["Gen", Fields, int], typing.Any]) -> Callable[..., Fields]:
    def canonical(g: Gen, fields: Fields, depth: int) -> Fields:
        for field, make in fixed.items():
            fields[field] = make(g, fields, depth)
        return fields

    return canonical


def _least(field: str, count: int = 1) -> Callable[..., Fields]:
    """Return a correction: a tuple field gets as many expressions as it needs."""

    def canonical(g: Gen, fields: Fields, depth: int) -> Fields:
        while len(fields[field]) < count:
            fields[field] = (*fields[field], g.expression(0))
        return fields

    return canonical


def _kind_name(kinds: typing.Sequence[ObjectKind], field: str = "name") -> Callable[..., Fields]:
    """Return a correction: the kind is one of these, and the name has its number of parts."""

    def one(g: Gen, kind: ObjectKind) -> ObjectName:
        if kind in _GLOBAL:
            return ObjectName((g.name(),))
        if kind is ObjectKind.CLUSTER_REPLICA:
            return ObjectName((g.name(), g.name()))
        return g.object_name()

    def canonical(g: Gen, fields: Fields, depth: int) -> Fields:
        kind = fields["kind"] = g.one(kinds)
        plural = field == "names"
        fields[field] = g.some(lambda: one(g, kind)) if plural else one(g, kind)
        return fields

    return canonical


def _both(*corrections: Callable[..., Fields]) -> Callable[..., Fields]:
    def canonical(g: Gen, fields: Fields, depth: int) -> Fields:
        for correction in corrections:
            fields = correction(g, fields, depth)
        return fields

    return canonical


def _names(g: Gen, fields: Fields, depth: int) -> tuple[str, ...]:
    return g.names()


def _values_of(g: Gen, fields: Fields, depth: int) -> tuple[typing.Any, ...]:
    return _variable_values(g)


def _unresolved(g: Gen, fields: Fields, depth: int) -> ObjectName:
    return g.object_name(resolved=False)


def _one_or_more(cls: type[Node]) -> Callable[[Gen, Fields, int], typing.Any]:
    return lambda g, fields, depth: g.some(lambda: g.node(cls, depth - 1))


def _columns(g: Gen, fields: Fields, depth: int) -> typing.Any:
    """Draw names or definitions, as a source and a table from one have them."""
    if g.flag():
        fields["constraints"] = g.some(lambda: _constraint(g, of_table=True, depth=depth), 0)
        return g.some(lambda: _table_column(g, depth - 1))
    fields["constraints"] = ()
    return g.names(0)


def _definitions(g: Gen, fields: Fields, depth: int) -> typing.Any:
    fields["constraints"] = g.some(lambda: _constraint(g, of_table=True, depth=depth), 0)
    return g.some(lambda: _table_column(g, depth - 1), 0)


def _likes(g: Gen, fields: Fields, depth: int) -> typing.Any:
    places = sorted(g.draw(st.lists(st.integers(0, len(fields["columns"])), max_size=2)))
    options = [option for option in ddl.LikeOption if g.flag()]
    return tuple(
        ddl.TableLike(g.object_name(resolved=False), tuple(options), place) for place in places
    )


def _table_action(g: Gen, depth: int) -> ddl.TableAction:
    match g.draw(st.integers(0, 5)):
        case 4:
            return ddl.DropColumn(g.name(), g.flag(), g.flag())
        case 5:
            using = g.expression(depth - 1) if g.flag() else None
            return ddl.AlterColumnType(g.name(), g.value(base.DataType, depth - 1), using)
        case 0:
            return ddl.AddColumn(_table_column(g, depth - 1), g.flag())
        case 1:
            return ddl.AddConstraint(_constraint(g, of_table=True, depth=depth))
        case 2:
            return ddl.DropConstraint(g.name(), g.flag())
    change = g.one(list(ddl.ColumnChange))
    default = g.expression(depth - 1) if change is ddl.ColumnChange.SET_DEFAULT else None
    return ddl.AlterColumn(g.name(), change, default)


def _table_actions(g: Gen, fields: Fields, depth: int) -> typing.Any:
    return g.some(lambda: _table_action(g, depth))


def _webhook(g: Gen, fields: Fields, depth: int) -> Fields:
    fields["includes"] = g.some(lambda: _webhook_include(g), 0)
    fields["or_replace"] = False
    if fields["is_table"]:
        fields["in_cluster"] = None
    return fields


def _format_clauses(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["value"] is None:
        fields["value"] = connector.TextFormat()
    return fields


def _materialized_view(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["in_cluster"] is None:
        fields["in_replica"] = None
    if fields["or_replace"]:
        fields["replacement_for"] = None
    body = fields["query"]
    fields["as_of"] = None
    fields["query"] = msgspec.structs.replace(body, as_of=None) if body.as_of else body
    fields["query"] = query.Query(_bare(fields["query"])) if _is_nested(fields) else fields["query"]
    return fields


def _is_nested(fields: Fields) -> bool:
    body = fields["query"]
    return isinstance(body.body, query.Query) and body == query.Query(body.body)


def _index(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["keys"] is None:
        fields["unique"] = False
    return fields


def _is_create_sink(g: Gen, fields: Fields, depth: int) -> typing.Any:
    return g.node(connector.CreateSink, depth - 1)


def _mutually(g: Gen, fields: Fields, depth: int) -> Fields:
    fields["bindings"] = g.some(lambda: g.node(query.RecursiveBinding, depth - 1))
    fields["limit"] = fields["limit"] or None  # a limit of 0 is refused
    if fields["limit"] is None:
        fields["limit_kind"] = query.RecursionLimitKind.PLAIN
    return fields


def _subscribe(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["envelope"] is None:
        fields["key"] = ()
    else:
        fields["key"] = g.names()
        fields["within_timestamp_order_by"] = ()
    return fields


def _copy(g: Gen, fields: Fields, depth: int) -> Fields:
    if not isinstance(fields["relation"], ObjectName):
        fields["columns"] = ()
    if fields["target"] is not None:
        fields["target"] = query.String("s3://x")
    if fields["direction"] is dml.CopyDirection.TO:
        fields["where"] = None
    return fields


def _grouping(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["kind"] is query.GroupingKind.EMPTY:
        fields["elements"] = ()
    elif not fields["elements"]:
        fields["elements"] = (g.expression(0),)
    return fields


def _select(g: Gen, fields: Fields, depth: int) -> Fields:
    fields["distinct"] = fields["distinct"] or bool(fields["distinct_on"])
    return fields


def _subscript_item(g: Gen, fields: Fields, depth: int) -> Fields:
    if not fields["is_slice"]:
        fields["upper"] = None
        if fields["lower"] is None:
            fields["lower"] = g.expression(0)
    return fields


def _on_conflict(g: Gen, fields: Fields, depth: int) -> Fields:
    if not fields["assignments"]:
        fields["where"] = None
    if fields["columns"]:
        fields["constraint"] = None
    return fields


def _role_attribute(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["kind"] is not control.RoleAttributeKind.PASSWORD:
        fields["password"] = None
    return fields


def _default_privileges(g: Gen, fields: Fields, depth: int) -> Fields:
    fields["kind"] = g.one([ObjectKind.TABLE, ObjectKind.SCHEMA, ObjectKind.CLUSTER])
    fields["roles"] = g.names()
    if fields["in_schemas"]:
        fields["in_databases"] = ()
    return _privileges(g, fields, depth)


def _privileges(g: Gen, fields: Fields, depth: int) -> Fields:
    if fields["privileges"] == ():
        fields["privileges"] = None
    if "roles" in fields:
        fields["roles"] = g.names()
    return fields


def _changes(g: Gen, fields: Fields, depth: int) -> Fields:
    kinds = [ObjectKind.TABLE, ObjectKind.SOURCE, ObjectKind.SINK, ObjectKind.CONNECTION]
    fields = _kind_name([*kinds, ObjectKind.CLUSTER])(g, fields, depth)
    known = ["size", "retain history", "ssl key"]
    fields["changes"] = g.one(
        [
            (ddl.SetOptions(g.options(depth - 1, 1)),),
            (ddl.ResetOptions((g.one(known), g.one(known))),),
        ]
    )
    if fields["kind"] is ObjectKind.CONNECTION and g.flag():
        fields["changes"] = (ddl.DropOptions(("ssl key",)), ddl.SetOptions(g.options(1, 1)))
    return fields


def _webhook_item(g: Gen, fields: Fields, depth: int) -> Fields:
    fields["what"] = g.one(["headers", "body", g.object_name()])
    return fields


_OWN: dict[type[Node], Callable[[Gen, int], typing.Any]] = {
    ObjectName: lambda g, depth: g.object_name(),
    connector.AvroFormat: _avro,
    connector.ConnectionSource: _source_kind,
    connector.CsvFormat: _csv,
    connector.Envelope: _envelope,
    connector.Include: _include,
    connector.JsonFormat: _json,
    connector.ProtobufFormat: _protobuf,
    control.GrantTarget: _grant_target,
    ddl.TableColumn: _table_column,
    dml.MergeClause: _merge_clause,
    explain.ExplainObject: _explain_object,
    option.Option: _option,
    query.AnyAll: _any_all,
    query.BinaryOp: _binary,
    query.FrameBound: _bound,
    query.Function: _function,
    query.InList: _in_list,
    query.IntervalLiteral: _interval,
    query.Join: _join,
    query.Number: _number,
    query.Query: _query,
    query.SelectHint: _hint,
    query.SelectItem: _select_item,
    query.TableAlias: _table_alias,
    query.UnaryOp: _unary,
    query.Values: _values,
    session.SetTransaction: _set_transaction,
}

_CANONICAL: dict[type[Node], Callable[[Gen, Fields, int], Fields]] = {
    base.ArrayType: _fix(
        element=lambda g, fields, depth: g.node(base.NamedType, 0),
        dimensions=lambda g, fields, depth: g.one([1, 2]),
    ),
    connector.CreateConnection: _fix(options=lambda g, fields, depth: g.options(depth - 1)),
    connector.CreateSink: _fix(
        key=lambda g, fields, depth: g.one([None, g.names()]),
        key_not_enforced=lambda g, fields, depth: fields["key"] is not None and g.flag(),
    ),
    connector.CreateSource: _fix(columns=_columns),
    connector.CreateSubsource: _fix(columns=_definitions),
    connector.CreateWebhook: _webhook,
    connector.ExternalReference: _fix(reference=_unresolved),
    connector.ForSchemas: _fix(schemas=_names),
    connector.ForTables: _fix(tables=_one_or_more(connector.ExternalReference)),
    connector.FormatClauses: _format_clauses,
    connector.WebhookCheckItem: _webhook_item,
    control.AlterDefaultPrivileges: _default_privileges,
    control.AlterRoleAttributes: _fix(attributes=_one_or_more(control.RoleAttribute)),
    control.AlterRoleSet: _fix(values=_values_of),
    control.CreateCluster: _fix(options=lambda g, fields, depth: g.options(depth - 1)),
    control.GrantPrivileges: _privileges,
    control.GrantRole: _fix(roles=_names, members=_names),
    control.RevokePrivileges: _privileges,
    control.RevokeRole: _fix(roles=_names, members=_names),
    control.RoleAttribute: _role_attribute,
    ddl.AlterOptions: _changes,
    ddl.AlterOwner: _kind_name(_NAMED_KINDS),
    ddl.AlterRename: _kind_name(_NAMED_KINDS),
    ddl.AlterRenameColumn: _kind_name(
        [ObjectKind.TABLE, ObjectKind.VIEW, ObjectKind.MATERIALIZED_VIEW]
    ),
    ddl.AlterSetSchema: _kind_name(
        [ObjectKind.TABLE, ObjectKind.VIEW, ObjectKind.MATERIALIZED_VIEW, ObjectKind.TYPE]
    ),
    ddl.AlterSetCluster: _kind_name([ObjectKind.SOURCE, ObjectKind.SINK, ObjectKind.INDEX]),
    ddl.AlterSourceAddSubsource: _fix(references=_one_or_more(connector.ExternalReference)),
    ddl.AlterSourceDropSubsource: _fix(names=_one_or_more(ObjectName)),
    ddl.AlterSwap: _kind_name([ObjectKind.SCHEMA, ObjectKind.CLUSTER]),
    ddl.AlterTable: _fix(actions=_table_actions),
    ddl.CommentOn: _kind_name(_NAMED_KINDS),
    ddl.CreateIndex: _index,
    ddl.CreateMaterializedView: _materialized_view,
    ddl.CreateTable: _fix(columns=_definitions, likes=_likes),
    ddl.CreateTableFromSource: _fix(
        columns=_columns,
        reference=lambda g, fields, depth: g.one(
            [None, connector.ExternalReference(g.object_name(resolved=False))]
        ),
    ),
    ddl.Drop: _kind_name([k for k in _NAMED_KINDS if k is not ObjectKind.COLUMN], "names"),
    ddl.DropOwned: _fix(roles=_names),
    ddl.ReassignOwned: _fix(roles=_names),
    dml.Assignment: _fix(columns=_names),
    dml.Copy: _copy,
    dml.Merge: _fix(clauses=_one_or_more(dml.MergeClause)),
    dml.OnConflict: _on_conflict,
    dml.Subscribe: _subscribe,
    dml.Truncate: _fix(tables=_one_or_more(ObjectName)),
    dml.Update: _fix(assignments=_one_or_more(dml.Assignment)),
    explain.ExplainAnalyze: _fix(
        properties=lambda g, fields, depth: (explain.AnalyzeProperty.CPU,),
        what=lambda g, fields, depth: (
            fields["what"] and explain.ExplainObject(ObjectKind.INDEX, fields["what"].name)
        ),
    ),
    explain.ExplainSinkSchema: _fix(statement=_is_create_sink),
    query.And: _least("operands", 2),
    query.Case: _fix(branches=_one_or_more(query.When)),
    query.Coalesce: _least("items"),
    query.Greatest: _least("items"),
    query.Grouping: _grouping,
    query.Identifier: _fix(parts=_names),
    query.JoinUsing: _fix(columns=_names),
    query.Least: _least("items"),
    query.Or: _least("operands", 2),
    query.Parameter: _fix(number=lambda g, fields, depth: g.one([1, 2, 65535])),
    query.RowsFrom: _fix(functions=_one_or_more(query.Function)),
    query.Select: _select,
    query.SetOperation: _fix(
        left=lambda g, fields, depth: _bare(fields["left"]),
        right=lambda g, fields, depth: _bare(fields["right"]),
    ),
    query.Subscript: _fix(items=_one_or_more(query.SubscriptItem)),
    query.SubscriptItem: _subscript_item,
    query.TableFunction: _fix(function=lambda g, fields, depth: _function(g, depth - 1)),
    query.With: _fix(ctes=_one_or_more(query.Cte)),
    query.WithMutuallyRecursive: _mutually,
    query.RecursiveBinding: _fix(columns=_one_or_more(base.ColumnDefinition)),
    session.AlterSystemSet: _fix(values=_values_of),
    session.SetVariable: _fix(values=_values_of),
    show.ShowCreate: _kind_name(_NAMED_KINDS),
    show.ShowObjects: _fix(
        kind=lambda g, fields, depth: g.one([k for k in _NAMED_KINDS if k.value != "COLUMN"])
    ),
    show.ShowPrivileges: _fix(
        on=lambda g, fields, depth: g.one([None, ObjectKind.TABLE, ObjectKind.SYSTEM])
    ),
}


@st.composite
def expressions(draw: Callable[..., typing.Any]) -> typing.Any:
    """Draw an expression tree."""
    return Gen(draw).expression(DEPTH)


@st.composite
def queries(draw: Callable[..., typing.Any]) -> typing.Any:
    """Draw a query tree."""
    return Gen(draw).node(query.Query, DEPTH + 1)


@st.composite
def statements(draw: Callable[..., typing.Any]) -> typing.Any:
    """Draw a statement tree of any kind."""
    return Gen(draw).statement(DEPTH)
