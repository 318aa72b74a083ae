"""COPY in both directions: its options, the columns that come, the table's row that they make."""

from collections.abc import Sequence

from headwater.catalog.items import ItemKind, Table
from headwater.errors import (
    FeatureNotSupported,
    InvalidColumnReference,
    InvalidParameterValue,
    SyntaxError_,
)
from headwater.sql.ast import dml
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.hir import ColumnRef, HirScalar
from headwater.sql.plan.kinds.assigning import default_of, target_scope, targets_of, writable
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import plan_query, plan_subscribe
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.statements import (
    CopyFormat,
    CopyFormatKind,
    CopyFromPlan,
    CopyToPlan,
    SelectPlan,
    SubscribePlan,
)
from headwater.sql.resolve.scope import Scope
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import TEXT, ColumnType

_CSV_DEFAULTS = CopyFormat(CopyFormatKind.CSV, ",", "", '"', '"')
_FORCES = ("force_quote", "force_not_null", "force_null")
_OPTIONS = ("format", "delimiter", "null", "quote", "escape", "header", "encoding", *_FORCES)
_TO_OPTIONS = (*_OPTIONS, "aws connection", "max file size")
_FROM_OPTIONS = (*_OPTIONS, "aws connection", "files", "pattern")
# PostgreSQL takes none of these for a delimiter: they mean something in its text format.
_NO_DELIMITERS = frozenset("\\.abcdefghijklmnopqrstuvwxyz0123456789")


# --- options --------------------------------------------------------------------------------------


def _format(options: Options, node: dml.Copy, columns: Sequence[str]) -> CopyFormat:
    """Read the options of COPY over ``columns``. Source: PostgreSQL's ProcessCopyOptions."""
    word = options.text("format")
    if word is not None and word.lower() not in [kind.value for kind in CopyFormatKind]:
        raise InvalidParameterValue(
            f'COPY format "{word}" not recognized', position=options.position("format")
        )
    kind = CopyFormatKind.TEXT if word is None else CopyFormatKind(word.lower())
    _check_encoding(options)
    if kind in (CopyFormatKind.BINARY, CopyFormatKind.PARQUET):
        for name in ("delimiter", "null"):
            if name in options:
                raise SyntaxError_(
                    f"cannot specify {name.upper()} in {kind.value.upper()} mode",
                    position=options.position(name),
                )
        if "header" in options:
            mode = kind.value.upper()
            raise _unsupported(options, "header", f"cannot specify HEADER in {mode} mode")
    if kind is not CopyFormatKind.CSV:
        for name in ("quote", "escape", *_FORCES):
            if name in options:
                shown = name.replace("_", " ")
                raise _unsupported(options, name, f"COPY {shown} available only in CSV mode")
    default = _CSV_DEFAULTS if kind is CopyFormatKind.CSV else CopyFormat(kind)
    quote = _byte(options, "quote", default.quote)
    header, header_match = _header(options, node.direction)
    found = CopyFormat(
        kind,
        _byte(options, "delimiter", default.delimiter),
        default.null if (null := options.text("null")) is None else null,
        quote,
        _byte(options, "escape", quote),
        header,
        header_match,
        *(_forced(options, name, node.direction, columns) for name in _FORCES),
    )
    if kind in (CopyFormatKind.TEXT, CopyFormatKind.CSV):
        _check_characters(options, found)
    return found


def _unsupported(options: Options, name: str, message: str) -> FeatureNotSupported:
    return FeatureNotSupported(message, position=options.position(name))


def _check_encoding(options: Options) -> None:
    name = options.text("encoding")
    if name is not None and name.lower() not in ("utf8", "utf-8", "unicode"):
        raise InvalidParameterValue(
            'argument to option "encoding" must be a valid encoding name',
            hint="Only UTF8 is supported.",
            position=options.position("encoding"),
        )


def _header(options: Options, direction: dml.CopyDirection) -> tuple[bool, bool]:
    """Return whether the first line names columns, and whether the names must match."""
    value = options.value("header")
    if isinstance(value, ObjectName | ast.String) and options.text("header") == "match":
        if direction is dml.CopyDirection.TO:
            raise _unsupported(options, "header", 'cannot use "match" with HEADER in COPY TO')
        return True, True
    return options.boolean("header", False), False


def _byte(options: Options, name: str, default: str) -> str:
    found = options.text(name)
    if found is None:
        return default
    if len(found.encode()) != 1:
        raise _unsupported(options, name, f"COPY {name} must be a single one-byte character")
    return found


def _forced(
    options: Options, name: str, direction: dml.CopyDirection, columns: Sequence[str]
) -> tuple[int, ...]:
    """Return the positions of the columns that FORCE_… names."""
    if name not in options:
        return ()
    wanted = dml.CopyDirection.TO if name == "force_quote" else dml.CopyDirection.FROM
    if direction is not wanted:
        shown = name.replace("_", " ")
        raise _unsupported(options, name, f"COPY {shown} only available using COPY {wanted.value}")
    value = options.value(name)
    if isinstance(value, ast.String) and value.value == "*":
        return tuple(range(len(columns)))
    found = []
    for column in options.texts(name):
        if column not in columns:
            raise InvalidColumnReference(
                f'{name.upper()} column "{column}" not referenced by COPY',
                position=options.position(name),
            )
        found.append(list(columns).index(column))
    return tuple(found)


def _check_characters(options: Options, format: CopyFormat) -> None:
    """Refuse characters that would mean two things."""
    is_csv = format.format is CopyFormatKind.CSV
    if format.delimiter in "\r\n":
        raise InvalidParameterValue("COPY delimiter cannot be newline or carriage return")
    if "\n" in format.null or "\r" in format.null:
        raise InvalidParameterValue(
            "COPY null representation cannot use newline or carriage return"
        )
    if not is_csv and format.delimiter in _NO_DELIMITERS:
        raise InvalidParameterValue(f'COPY delimiter cannot be "{format.delimiter}"')
    if is_csv and format.delimiter == format.quote:
        raise InvalidParameterValue("COPY delimiter and quote must be different")
    if format.delimiter in format.null:
        raise _unsupported(
            options, "null", "COPY delimiter must not appear in the NULL specification"
        )
    if is_csv and format.quote in format.null:
        raise _unsupported(
            options, "null", "CSV quote character must not appear in the NULL specification"
        )


# --- COPY … TO ------------------------------------------------------------------------------------


def _copy_to(ctx: StatementContext, node: dml.Copy) -> CopyToPlan:
    """Plan COPY … TO."""
    options = Options(ctx, node.options, "COPY", _TO_OPTIONS)
    source = node.relation
    plan: SelectPlan | SubscribePlan
    if isinstance(source, dml.Subscribe):
        plan = plan_subscribe(ctx, source)
    elif isinstance(source, ast.Query):
        plan = plan_query(ctx, source)
    else:
        plan = plan_query(ctx, _query_of(source, node.columns))
    uri = None
    if node.target is not None:
        if isinstance(plan, SubscribePlan):
            raise FeatureNotSupported("SUBSCRIBE in COPY TO a URL", position=node.position)
        uri = ExprContext(ctx, Scope.empty(), {}, "COPY").plan_as(node.target, TEXT)
        if "aws connection" not in options:
            raise InvalidParameterValue("COPY TO a URL requires the option AWS CONNECTION")
    aws = options.name_of_item("aws connection", ItemKind.CONNECTION)
    return CopyToPlan(
        plan,
        _format(options, node, plan.desc.names),
        uri,
        None if aws is None else GlobalId(aws),
        options.integer("max file size", minimum=1),
    )


def _query_of(name: ObjectName, columns: Sequence[str]) -> ast.Query:
    items: tuple[ast.SelectItem, ...] = (ast.SelectItem(expression=ast.Wildcard()),)
    if columns:
        items = tuple(
            ast.SelectItem(expression=ast.Identifier(parts=(column,), position=name.position))
            for column in columns
        )
    table = ast.TableRef(name=name, position=name.position)
    return ast.Query(body=ast.Select(items=items, from_=(table,)), position=name.position)


# --- COPY … FROM ----------------------------------------------------------------------------------


def _copy(ctx: StatementContext, node: dml.Copy) -> Outcome:
    if node.direction is dml.CopyDirection.TO:
        plan = _copy_to(ctx, node)
        return Outcome(plan, plan.plan.desc)
    if not isinstance(node.relation, ObjectName):
        raise SyntaxError_("COPY FROM requires a table", position=node.position)
    table = writable(ctx, node.relation, "copy into")
    options = Options(ctx, node.options, "COPY", _FROM_OPTIONS)
    targets = targets_of(table, node.columns, node.relation.position)
    taken = [table.desc.columns[index] for index in targets]
    input_desc = RelationDesc(tuple(Column(c.name, c.type, True) for c in taken))
    format = _format(options, node, input_desc.names)
    uri = None
    if node.target is not None:
        uri = ExprContext(ctx, Scope.empty(), {}, "COPY").plan_as(node.target, TEXT)
    aws = options.name_of_item("aws connection", ItemKind.CONNECTION)
    return Outcome(
        CopyFromPlan(
            table.id,
            table.desc,
            input_desc,
            _row(ctx, table, targets),
            format,
            uri,
            None if aws is None else GlobalId(aws),
            options.texts("files"),
            options.text("pattern"),
            _where(ctx, table, node),
        )
    )


def _row(ctx: StatementContext, table: Table, targets: Sequence[int]) -> tuple[HirScalar, ...]:
    """Return the table's row over an input row: what came, and defaults."""
    columns: list[HirScalar] = []
    for index, type in enumerate(table.desc.types):
        if index in targets:
            columns.append(ColumnRef(0, targets.index(index), ColumnType(type.type, True)))
        else:
            columns.append(default_of(ctx, table, index))
    return tuple(columns)


def _where(ctx: StatementContext, table: Table, node: dml.Copy) -> HirScalar | None:
    """Return the condition of COPY … FROM … WHERE over the table's row."""
    if node.where is None:
        return None
    context = ExprContext(ctx, target_scope(ctx, table, None), {}, "COPY FROM WHERE conditions")
    return condition(context, node.where, "WHERE")


HANDLERS: dict[type[Node], StatementHandler] = {dml.Copy: _copy}
