"""What the front asks, answered: implements ``pgwire.session_api`` over the coordinator."""

from collections.abc import Sequence
from typing import TypedDict

import msgspec

from headwater.adapter import statement_ends
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.planning import is_long_statement
from headwater.adapter.sequencer import copy, cursor, fast_insert, insert
from headwater.adapter.sequencer.ddl import session_snapshot
from headwater.adapter.sequencer.dispatch import sequence
from headwater.adapter.sequencer.drop import drop_temporary
from headwater.adapter.sequencer.read import isolation_of
from headwater.adapter.sequencer.select import fast_plan, result_columns
from headwater.adapter.sequencer.transaction import abandon_transaction, end_transaction
from headwater.adapter.session import Execution, PreparedStatement, Session, notice
from headwater.adapter.timestamps import Isolation
from headwater.adapter.variables import (
    DEFAULT_SAMPLE_RATE,
    SAMPLE_RATE,
    SERVER_VERSION,
    SESSION_AUTHORIZATION,
    SessionVariables,
    find_variable,
)
from headwater.catalog.items import Role
from headwater.catalog.ops import Create
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    CannotConnectNow,
    ErrorFields,
    FeatureNotSupported,
    HeadwaterError,
    InFailedSqlTransaction,
    InvalidAuthorization,
    SyntaxError_,
)
from headwater.pgwire import oids
from headwater.pgwire import protocol as p
from headwater.pgwire.session_api import Reply
from headwater.sql.ast.session import Commit, Rollback, RollbackTo
from headwater.sql.plan.statements import (
    DeclarePlan,
    ExecutePlan,
    FetchPlan,
    InsertPlan,
    Planned,
)
from headwater.types.ids import ClusterId, GlobalId

_INTERNAL_USERS = ("mz_system", "mz_support")
# Parameters of the startup message that are not variables, or that the front obeys.
_IGNORED_OPTIONS = frozenset({"replication", "_pq_.", "options"})


class HeadwaterAdapter:
    """Opens sessions; see ``pgwire.session_api.Adapter``.

    The front is made before the coordinator, which reads through it: :meth:`attach` joins them.
    """

    def __init__(self, coord: Coordinator | None = None) -> None:
        self._attached = coord

    def attach(self, coord: Coordinator) -> None:
        """Name the coordinator; before clients are let in."""
        self._attached = coord

    @property
    def _coord(self) -> Coordinator:
        if self._attached is None:
            raise CannotConnectNow("the server is starting up")
        return self._attached

    async def startup(self, request: p.Startup) -> "tuple[ClientSession, p.Started]":
        """Open a session. Raises: InvalidAuthorization."""
        coord = self._coord
        role = await self._role(request)
        fixed = {
            "mz_version": f"v{coord.version}",
            "server_version": SERVER_VERSION,
            "is_superuser": "on" if role.superuser else "off",
            SESSION_AUTHORIZATION: role.name,
        }
        variables = SessionVariables(coord.snapshot.variables, fixed)
        session = Session(
            request.conn,
            request.process_id,
            role,
            variables,
            coord.rng.token().hex(),
            coord.clock.now_ms(),
        )
        if DEFAULT_SAMPLE_RATE in coord.snapshot.variables:
            variables.set_defaults({SAMPLE_RATE: coord.snapshot.variables[DEFAULT_SAMPLE_RATE]})
        variables.set_defaults(role.variables)
        defaults = {"database": request.database or "materialize"}
        if request.application_name:
            defaults["application_name"] = request.application_name
        variables.set_defaults(defaults)
        for name, value in request.options.items():
            _startup_option(session, name, value)
        session.first_application_name = variables.get("application_name")
        _greet(coord, session)
        coord.sessions[request.conn] = session
        client = ClientSession(coord, session)
        parameters, settings = session.changes()
        started = p.Started(
            parameters=parameters,
            settings=settings,
            notices=session.take_notices(),
        )
        return client, started

    def insert(self, rows: Sequence[p.Insert], reply: Reply) -> None:
        """Insert rows, each in a transaction of its own."""
        fast_insert.insert_rows(self._coord, rows, reply)

    async def _role(self, request: p.Startup) -> Role:
        """Return the role of a user, made on first sight: for now everyone is let in."""
        coord = self._coord
        if request.user in _INTERNAL_USERS and not request.internal:
            raise InvalidAuthorization(
                f'unauthorized login to user "{request.user}"',
                hint="System users connect on the internal address.",
            )
        role = coord.snapshot.try_role(request.user)
        if role is None:
            role = await coord.finish(self._new_role(request.user))
        if role.login is False:
            raise InvalidAuthorization(f'role "{request.user}" is not permitted to log in')
        return role

    async def _new_role(self, name: str) -> Role:
        coord = self._coord
        async with coord.changing():
            role = coord.snapshot.try_role(name)
            if role is None:
                role = Role(id=coord.ids.role(), oid=coord.ids.oid(), name=name)
                await coord.transact([Create(role, provisioned=True)])
            return role


def _startup_option(session: Session, name: str, value: str) -> None:
    if name in _IGNORED_OPTIONS or name.startswith("_pq_."):
        return
    try:
        find_variable(name)
        session.variables.set_defaults({name: value})
    except HeadwaterError as error:
        session.notify(notice(f"startup setting {name} not set: {error.message}"))


def _greet(coord: Coordinator, session: Session) -> None:
    """Tell of a current database or cluster that does not exist."""
    if not session.variables.flag("current_object_missing_warnings"):
        return
    databases = {database.name for database in coord.snapshot.databases.values()}
    if session.database not in databases:
        session.notify(notice(f'session database "{session.database}" does not exist', "MZ004"))
    if coord.snapshot.try_cluster(session.cluster) is None:
        session.notify(
            notice(f'session default cluster "{session.cluster}" does not exist', "MZ005")
        )


class _Trailer(TypedDict):
    """What every reply carries beside its answer."""

    status: p.TransactionStatus
    notices: tuple[ErrorFields, ...]
    parameters: dict[str, str]
    settings: p.SessionSettings | None
    prepared: tuple[p.NamedStatement, ...]
    deallocated: tuple[str, ...] | None


class ClientSession:
    """One connection's session; see ``pgwire.session_api.Session``."""

    def __init__(self, coord: Coordinator, session: Session) -> None:
        self._coord = coord
        self.session = session

    # Statements

    async def parse_many(self, request: p.ParseMany) -> p.Parsed:
        """Split a simple query into statements."""
        session = self.session
        session.drop_once()
        parsed = await self._coord.planner.parse_aside(request.sql)
        handles = tuple(session.add_statement(one, once=True).handle for one in parsed)
        return p.Parsed(statements=handles, status=session.transaction.status)

    async def prepare(self, request: p.Prepare) -> p.Prepared:
        """Parse and plan one statement."""
        session = self.session
        parsed = await self._coord.planner.parse_aside(request.sql)
        if len(parsed) > 1:
            raise SyntaxError_("cannot insert multiple commands into a prepared statement")
        declared = tuple(oids.type_of(oid) if oid else None for oid in request.param_oids)
        statement = session.add_statement(
            parsed[0] if parsed else None, declared, name=request.name
        )
        statement.prepared_ms = self._coord.clock.now_ms()
        try:
            if parsed and session.transaction.failed:
                _check_failed(statement)
            await self._plan_long(statement)
            desc = self._describe(statement)
        except BaseException:
            session.drop_statement(statement.handle)
            raise
        return p.Prepared(statement=desc, empty=not parsed, status=session.transaction.status)

    def _describe(self, statement: PreparedStatement) -> p.StatementDesc:
        if statement.parsed is None:
            return p.StatementDesc(handle=statement.handle)
        planned = self._planned(statement)
        plan = planned.plan
        desc = planned.result_desc
        if isinstance(plan, ExecutePlan):  # its columns are those of what it executes
            inner = self._planned(self.session.named(plan.name))
            plan, desc = inner.plan, inner.result_desc
        columns = None if desc is None else result_columns(desc)
        if isinstance(plan, FetchPlan):  # the cursor's, where it is known already
            columns = self.session.transaction.cursors.get(plan.name)
            statement.fetched = columns
        return p.StatementDesc(
            handle=statement.handle,
            parameters=tuple(oids.parameter(type_) for type_ in planned.param_types),
            columns=columns,
            fast=fast_plan(self._coord, self.session, statement),
            fast_insert=fast_insert.fast_insert(self._coord, self.session, statement),
        )

    def _planned(self, statement: PreparedStatement) -> Planned:
        """Return a statement's plan, made anew where catalog or settings have changed."""
        snapshot = session_snapshot(self._coord, self.session)
        if statement.planned is not None and self._is_current(statement, snapshot):
            return statement.planned
        return self._keep(statement, snapshot, self._plan(snapshot, statement))

    def _is_current(self, statement: PreparedStatement, snapshot: CatalogSnapshot) -> bool:
        return statement.version == snapshot.version and (
            statement.settings == self.session.settings_version
        )

    async def _plan_long(self, statement: PreparedStatement) -> None:
        """Plan a statement off the loop if it may take long, so that its plan is there."""
        parsed, snapshot = statement.parsed, session_snapshot(self._coord, self.session)
        if parsed is None or self._is_current(statement, snapshot) or not is_long_statement(parsed):
            return
        planned = await self._coord.planner.aside.run(lambda: self._plan(snapshot, statement))
        self._keep(statement, snapshot, msgspec.structs.replace(planned, is_long=True))

    def _keep(
        self, statement: PreparedStatement, snapshot: CatalogSnapshot, planned: Planned
    ) -> Planned:
        before = statement.planned
        if before is not None and not statement.once and _shape(before) != _shape(planned):
            raise FeatureNotSupported("cached plan must not change result type")
        statement.planned = planned
        statement.template = None
        if isinstance(planned.plan, InsertPlan) and not (statement.once or planned.is_long):
            statement.template = insert.row_template(self._coord, planned.plan)
        statement.version = snapshot.version
        statement.settings = self.session.settings_version
        return planned

    def _plan(self, snapshot: CatalogSnapshot, statement: PreparedStatement) -> Planned:
        assert statement.parsed is not None
        return self._coord.planner.plan(
            snapshot, self.session, statement.parsed, statement.declared
        )

    async def execute(self, request: p.Execute) -> p.ExecuteReply:
        """Run a statement, and commit the implicit transaction if ``request.sync``."""
        log, session = self._coord.statements, self.session
        statement = session.statement(request.handle)
        if statement.parsed is None:
            if request.sync:
                await self._finish(commit=True)
            return self._reply(p.Empty())
        execution = log.begin(session, statement, request.params)
        if execution is None:
            return await self._execute(statement, request)
        session.sampled = execution
        try:
            reply = await self._execute(statement, request)
        except BaseException as error:
            statement_ends.failed(log, execution, error)
            raise
        finally:
            session.sampled = None
        statement_ends.answered(log, session, execution, request.id, reply)
        return reply

    async def _execute(self, statement: PreparedStatement, request: p.Execute) -> p.ExecuteReply:
        session = self.session
        if session.transaction.failed:
            _check_failed(statement)
        reply = await self._run(statement, request)
        # Rows that are still to be read by the front hold what they need by themselves.
        if request.sync and not isinstance(reply, p.CopyIn):
            await self._finish(commit=True)
        return self._reply(reply)

    async def _run(self, statement: PreparedStatement, request: p.Execute) -> p.ExecuteReply:
        coord, session = self._coord, self.session
        await self._plan_long(statement)
        planned = self._planned(statement)
        match planned.plan:
            case ExecutePlan() as plan:
                inner = session.named(plan.name)
                await self._plan_long(inner)
                inner_planned = self._planned(inner)
                params = cursor.execute_arguments(coord, session, plan, inner_planned)
                statement, planned = inner, inner_planned
                request = msgspec.structs.replace(request, params=params)
            case DeclarePlan() as plan:
                session.transaction.check_alive()
                parsed = cursor.as_parsed(plan.statement)
                snapshot, is_long = session_snapshot(coord, session), is_long_statement(parsed)
                inner_plan = await coord.planner.perhaps_aside(
                    is_long,
                    lambda: coord.planner.plan(snapshot, session, parsed, statement.declared),
                )
                inner_plan = msgspec.structs.replace(inner_plan, is_long=is_long)
                if isolation_of(session) is Isolation.STRICT_SERIALIZABLE:
                    await coord.group_commit.confirmed()
                return await cursor.sequence_declare(coord, session, request, plan, inner_plan)
        if isinstance(planned.plan, FetchPlan):
            cursor.check_columns(session, statement, planned.plan)
        if statement.template is not None and isinstance(planned.plan, InsertPlan):
            session.transaction.check_alive()
            session.transaction.statements += 1
            return await insert.insert_template(
                coord, session, planned, planned.plan, statement.template, request.params
            )
        if planned.depends_on and isolation_of(session) is Isolation.STRICT_SERIALIZABLE:
            await coord.group_commit.confirmed()
        assert statement.parsed is not None
        chosen = statement

        def replan(snapshot: CatalogSnapshot) -> Planned:
            return self._plan(snapshot, chosen)

        return await sequence(coord, session, request, planned, replan)

    async def sync(self, request: p.Sync) -> p.Synced:
        """Commit, or roll back, the implicit transaction."""
        await self._finish(commit=not request.failed)
        return p.Synced(**self._trailer())

    async def _finish(self, *, commit: bool) -> None:
        if self.session.transaction.implicit:
            await end_transaction(self._coord, self.session, commit=commit)

    # COPY FROM

    async def copy_data(self, request: p.CopyData) -> p.Synced:
        """Take a batch of rows."""
        await copy.copy_data(self._coord, self.session, request.rows)
        return p.Synced(status=self.session.transaction.status)

    async def copy_done(self, request: p.CopyDone) -> p.Command:
        """End the running COPY FROM well."""
        command = copy.copy_done(self.session)
        if request.sync:
            await self._finish(commit=True)
        statement_ends.copy_ended(self._coord.statements, self.session, None)
        return msgspec.structs.replace(command, **self._trailer())

    def copy_fail(self, event: p.CopyFail) -> None:
        """Forget the running COPY FROM."""
        del event
        self.session.copy = None

    # Events

    def complete(self, event: p.Complete) -> None:
        """Release what was held for a row source."""
        execution = self.session.executions.pop(event.execution, None)
        if execution is not None:
            self._release(execution)
        statement_ends.completed(self._coord.statements, self.session, event)
        if event.outcome != "done":
            self._fail_explicit()

    def failure(self, event: p.Failure) -> None:
        """Note that the front failed a statement."""
        del event
        self._fail_explicit()

    def close_statement(self, event: p.CloseStatement) -> None:
        """Drop a prepared statement."""
        self.session.drop_statement(event.handle)

    def close_portal(self, event: p.ClosePortal) -> None:
        """Note that a declared cursor is gone."""
        self.session.transaction.cursors.pop(event.name, None)

    def fail(self, error: ErrorFields) -> p.Failed:
        """Roll back the implicit transaction or fail the explicit one."""
        session = self.session
        session.copy = None
        statement_ends.copy_ended(self._coord.statements, session, error)
        if session.transaction.implicit:
            abandon_transaction(session)
        else:
            self._fail_explicit()
        return p.Failed(error=error, **self._trailer())

    def _fail_explicit(self) -> None:
        transaction = self.session.transaction
        if transaction.implicit:
            return
        transaction.failed = True
        if transaction.savepoints:
            return  # what it has done so far is needed again after ROLLBACK TO
        if transaction.reads is not None:
            transaction.reads.holds.release()
            transaction.reads = None
        transaction.writes.clear()
        transaction.staged = None

    async def terminate(self) -> None:
        """Release everything of a client that is gone."""
        session = self.session
        statement_ends.abandoned(self._coord.statements, session)
        abandon_transaction(session)
        for execution in session.executions.values():
            self._release(execution)
        session.executions.clear()
        self._coord.sessions.pop(session.conn, None)
        await drop_temporary(self._coord, session)

    def _release(self, execution: Execution) -> None:
        if execution.holds is not None:
            execution.holds.release()
        for cluster, export in execution.drop:
            self._coord.compute.drop(ClusterId(cluster), [GlobalId(export)])
            self._coord.peeks.forget_subscribe(GlobalId(export))
            self._coord.damage.forget(GlobalId(export))
            self._coord.subscriptions.pop(GlobalId(export), None)

    # Replies

    def _reply(self, reply: p.ExecuteReply) -> p.ExecuteReply:
        return msgspec.structs.replace(reply, **self._trailer())

    def _trailer(self) -> _Trailer:
        session = self.session
        # Taken out first: a statement that can't be planned fails once, and is forgotten.
        made, session.prepared_by_sql = session.prepared_by_sql, []
        try:
            prepared = tuple(p.NamedStatement(s.name, self._describe(s)) for s in made)
        except HeadwaterError:
            for statement in made:
                session.drop_statement(statement.handle)
            raise
        deallocated = session.deallocated
        session.deallocated = []
        parameters, settings = session.changes()
        return {
            "status": session.transaction.status,
            "notices": session.take_notices(),
            "parameters": parameters,
            "settings": settings,
            "prepared": prepared,
            "deallocated": None if deallocated is None else tuple(deallocated),
        }


def _shape(planned: Planned) -> tuple[object, ...] | None:
    """Return the types of a statement's columns."""
    return None if planned.result_desc is None else planned.result_desc.types


def _check_failed(statement: PreparedStatement) -> None:
    """Let through only what ends a failed transaction, before anything is planned."""
    parsed = statement.parsed
    if parsed is not None and not isinstance(parsed.statement, Commit | Rollback | RollbackTo):
        raise InFailedSqlTransaction(
            "current transaction is aborted, commands ignored until end of transaction block"
        )
