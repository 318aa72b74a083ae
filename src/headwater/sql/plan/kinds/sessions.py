"""Transactions, variables, prepared statements, cursors, RAISE."""

from collections.abc import Sequence

from headwater.catalog.items import Table
from headwater.errors import (
    FeatureNotSupported,
    InvalidParameterValue,
    ObjectNotInPrerequisiteState,
    UndefinedObject,
    WrongObjectType,
)
from headwater.ir.literals import show_literal
from headwater.ir.scalar import Literal
from headwater.sql.ast import control, dml
from headwater.sql.ast import query as ast
from headwater.sql.ast import session as ast_session
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import AlterRolePlan, AlterSystemResetAllPlan, AlterSystemSetPlan
from headwater.sql.plan.fold import fold
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.statements import (
    ClosePlan,
    CommitPlan,
    DeallocatePlan,
    DeclarePlan,
    DiscardPlan,
    DiscardTarget,
    ExecutePlan,
    FetchPlan,
    IsolationLevel,
    PreparePlan,
    RaisePlan,
    ReleaseSavepointPlan,
    ResetVariablePlan,
    RollbackPlan,
    RollbackToPlan,
    SavepointPlan,
    SetConstraintsPlan,
    SetTransactionPlan,
    SetVariablePlan,
    StartTransactionPlan,
    TransactionModes,
)
from headwater.sql.resolve.datatypes import resolve_type
from headwater.sql.resolve.scope import Scope


def _modes(nodes: Sequence[ast_session.TransactionMode]) -> TransactionModes:
    isolation: IsolationLevel | None = None
    read_only: bool | None = None
    for node in nodes:
        if isinstance(node, ast_session.IsolationLevel):
            isolation = IsolationLevel(node.value.lower())
        else:
            read_only = node is ast_session.AccessMode.READ_ONLY
    return TransactionModes(isolation, read_only)


def _start(_ctx: StatementContext, node: ast_session.StartTransaction) -> Outcome:
    return Outcome(StartTransactionPlan(_modes(node.modes)))


def _set_transaction(_ctx: StatementContext, node: ast_session.SetTransaction) -> Outcome:
    return Outcome(SetTransactionPlan(_modes(node.modes), node.session))


def _commit(_ctx: StatementContext, node: ast_session.Commit) -> Outcome:
    return Outcome(CommitPlan(node.chain))


def _rollback(_ctx: StatementContext, node: ast_session.Rollback) -> Outcome:
    return Outcome(RollbackPlan(node.chain))


def _rollback_to(_ctx: StatementContext, node: ast_session.RollbackTo) -> Outcome:
    return Outcome(RollbackToPlan(node.name))


def _savepoint(_ctx: StatementContext, node: ast_session.Savepoint) -> Outcome:
    return Outcome(SavepointPlan(node.name))


def _release(_ctx: StatementContext, node: ast_session.ReleaseSavepoint) -> Outcome:
    return Outcome(ReleaseSavepointPlan(node.name))


# --- variables ------------------------------------------------------------------------------------


def variable_values(
    ctx: StatementContext, nodes: Sequence[ast.Expr | ObjectName]
) -> tuple[str, ...] | None:
    """Return a variable's values as text; None for DEFAULT."""
    if not nodes:
        return None
    return tuple(_variable_value(ctx, node) for node in nodes)


def _variable_value(ctx: StatementContext, node: ast.Expr | ObjectName) -> str:
    if isinstance(node, ObjectName):
        return ".".join(node.parts)
    if isinstance(node, ast.String):
        return node.value
    if isinstance(node, ast.Number):
        return node.text
    if isinstance(node, ast.Boolean):
        return "on" if node.value else "off"
    if isinstance(node, ast.IntervalLiteral):
        return node.value
    expr = fold(ExprContext(ctx, Scope.empty(), {}, "SET").plan_typed(node), node.position)
    if not isinstance(expr, Literal):
        raise InvalidParameterValue(
            f"SET requires constants, not {to_sql(node)}", position=node.position
        )
    return show_literal(expr).strip("'")


def _set(ctx: StatementContext, node: ast_session.SetVariable) -> Outcome:
    return Outcome(SetVariablePlan(node.name, variable_values(ctx, node.values), node.local))


def _reset(_ctx: StatementContext, node: ast_session.ResetVariable) -> Outcome:
    return Outcome(ResetVariablePlan(node.name))


def _discard(_ctx: StatementContext, node: ast_session.Discard) -> Outcome:
    return Outcome(DiscardPlan(DiscardTarget(node.target.value)))


def _set_constraints(ctx: StatementContext, node: ast_session.SetConstraints) -> Outcome:
    tables = [item for item in ctx.catalog.items.values() if isinstance(item, Table)]
    known = {key.name for table in tables for key in table.keys}
    known.update(check.name for table in tables for check in table.checks)
    for name in node.names:
        if name.last not in known:
            raise UndefinedObject(
                f'constraint "{name.last}" does not exist', position=name.position
            )
        if node.deferred:
            raise WrongObjectType(
                f'constraint "{name.last}" is not deferrable', position=name.position
            )
    return Outcome(SetConstraintsPlan())


def _alter_system_set(ctx: StatementContext, node: ast_session.AlterSystemSet) -> Outcome:
    return Outcome(AlterSystemSetPlan(node.name, variable_values(ctx, node.values)))


def _alter_system_reset(_ctx: StatementContext, node: ast_session.AlterSystemReset) -> Outcome:
    if node.name is None:
        return Outcome(AlterSystemResetAllPlan())
    return Outcome(AlterSystemSetPlan(node.name, None))


def _alter_role_set(ctx: StatementContext, node: control.AlterRoleSet) -> Outcome:
    role = ctx.names.role(node.name, node.position)
    values = variable_values(ctx, node.values)
    return Outcome(AlterRolePlan(role.id, None, node.variable, values))


def _alter_role_reset(ctx: StatementContext, node: control.AlterRoleReset) -> Outcome:
    role = ctx.names.role(node.name, node.position)
    return Outcome(AlterRolePlan(role.id, None, node.variable, None))


# --- prepared statements and cursors --------------------------------------------------------------


def _prepare(ctx: StatementContext, node: dml.Prepare) -> Outcome:
    types = tuple(resolve_type(data_type, ctx.names) for data_type in node.types)
    return Outcome(PreparePlan(node.name, node.statement, types))


def _execute(ctx: StatementContext, node: dml.Execute) -> Outcome:
    context = ExprContext(ctx, Scope.empty(), {}, "EXECUTE parameters")
    arguments = tuple(context.plan(argument) for argument in node.arguments)
    return Outcome(ExecutePlan(node.name, arguments))


def _deallocate(_ctx: StatementContext, node: dml.Deallocate) -> Outcome:
    return Outcome(DeallocatePlan(node.name))


def _declare(_ctx: StatementContext, node: dml.Declare) -> Outcome:
    if node.hold:
        raise FeatureNotSupported("cursors WITH HOLD are not supported", position=node.position)
    return Outcome(DeclarePlan(node.name, node.statement))


def _fetch(ctx: StatementContext, node: dml.Fetch) -> Outcome:
    if node.backward:
        raise ObjectNotInPrerequisiteState(
            "cursor can only scan forward",
            hint="Declare it with SCROLL option to enable backward scan.",
            position=node.position,
        )
    options = Options(ctx, node.options, "FETCH", ("timeout",))
    return Outcome(FetchPlan(node.cursor, node.count, options.interval_us("timeout")))


def _close(_ctx: StatementContext, node: dml.Close) -> Outcome:
    return Outcome(ClosePlan(node.name))


def _raise(_ctx: StatementContext, node: ast_session.Raise) -> Outcome:
    level = node.level.value
    return Outcome(RaisePlan(level, f"raised a test {level.lower()}"))


HANDLERS: dict[type[Node], StatementHandler] = {
    ast_session.StartTransaction: _start,
    ast_session.SetTransaction: _set_transaction,
    ast_session.Commit: _commit,
    ast_session.Rollback: _rollback,
    ast_session.RollbackTo: _rollback_to,
    ast_session.Savepoint: _savepoint,
    ast_session.ReleaseSavepoint: _release,
    ast_session.SetVariable: _set,
    ast_session.ResetVariable: _reset,
    ast_session.Discard: _discard,
    ast_session.SetConstraints: _set_constraints,
    ast_session.AlterSystemSet: _alter_system_set,
    ast_session.AlterSystemReset: _alter_system_reset,
    ast_session.Raise: _raise,
    control.AlterRoleSet: _alter_role_set,
    control.AlterRoleReset: _alter_role_reset,
    dml.Prepare: _prepare,
    dml.Execute: _execute,
    dml.Deallocate: _deallocate,
    dml.Declare: _declare,
    dml.Fetch: _fetch,
    dml.Close: _close,
}
