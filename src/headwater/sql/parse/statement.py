"""Which rule reads a statement: its first word decides, for CREATE the words after it."""

from collections.abc import Callable

from headwater.errors import FeatureNotSupported
from headwater.sql.ast.connector import ValidateConnection
from headwater.sql.ast.statement import Statement
from headwater.sql.parse.alter import alter
from headwater.sql.parse.connector import (
    create_connection,
    create_sink,
    create_source,
    create_subsource,
)
from headwater.sql.parse.control import (
    create_cluster,
    create_network_policy,
    create_role,
    grant,
    revoke,
)
from headwater.sql.parse.ddl import (
    comment_on,
    create_database,
    create_index,
    create_materialized_view,
    create_schema,
    create_secret,
    create_table,
    create_type,
    create_view,
    drop,
    reassign_owned,
)
from headwater.sql.parse.dml import (
    close,
    copy,
    deallocate,
    declare,
    delete,
    execute,
    fetch,
    insert,
    merge,
    prepare,
    subscribe,
    truncate,
    update,
    with_statement,
)
from headwater.sql.parse.explain import explain
from headwater.sql.parse.query import query
from headwater.sql.parse.session import (
    begin,
    commit,
    discard,
    raise_message,
    release,
    reset,
    rollback,
    savepoint,
    set_variable,
    start,
)
from headwater.sql.parse.show import show, show_relation
from headwater.sql.parse.stream import TokenStream

_QUERY_CLAUSES = frozenset(
    ["UNION", "EXCEPT", "INTERSECT", "ORDER", "LIMIT", "OFFSET", "FETCH", "AS"]
)


def statement(p: TokenStream) -> Statement:
    """Read one statement, without a semicolon."""
    rule = _RULES.get(p.key)
    if rule is None:
        if p.key in _UNSUPPORTED:
            raise FeatureNotSupported(f"{p.key} is not supported", position=p.position)
        p.fail("a statement")
    return rule(p)


# What PostgreSQL has and clients may send: an error of its own, not one of syntax.
_UNSUPPORTED = (
    *("ANALYZE", "CALL", "CHECKPOINT", "CLUSTER", "DO", "LISTEN", "LOCK", "MOVE", "NOTIFY"),
    *("REFRESH", "REINDEX", "SECURITY", "UNLISTEN", "VACUUM"),
)


def _create(p: TokenStream) -> Statement:
    position = p.position
    p.expect("CREATE")
    if p.accept_all("OR", "REPLACE"):
        return _create_or_replace(p, position)
    if p.accept_any(("TEMP", "TEMPORARY")):
        if p.expect_any("TABLE", "VIEW") == "TABLE":
            return create_table(p, position, temporary=True)
        return create_view(p, position, or_replace=False, temporary=True)
    if p.accept("MATERIALIZED"):
        p.expect("VIEW")
        return create_materialized_view(p, position)
    if p.accept("REPLACEMENT"):
        p.expect_all("MATERIALIZED", "VIEW")
        return create_materialized_view(p, position, replacement=True)
    if p.accept("DEFAULT"):
        p.expect("INDEX")
        return create_index(p, position, default=True)
    if p.accept("UNIQUE"):
        p.expect("INDEX")
        return create_index(p, position, unique=True)
    if p.accept("NETWORK"):
        p.expect("POLICY")
        return create_network_policy(p, position)
    rule = _CREATED.get(p.key)
    if rule is None:
        p.fail("a kind of object")
    p.advance()
    return rule(p, position)


def _create_or_replace(p: TokenStream, position: int) -> Statement:
    if p.accept("MATERIALIZED"):
        p.expect("VIEW")
        return create_materialized_view(p, position, or_replace=True)
    temporary = p.accept_any(("TEMP", "TEMPORARY")) is not None
    p.expect("VIEW")
    return create_view(p, position, or_replace=True, temporary=temporary)


def _validate(p: TokenStream) -> ValidateConnection:
    position = p.position
    p.expect_all("VALIDATE", "CONNECTION")
    return ValidateConnection(p.object_name("a connection"), position=position)


def _show(p: TokenStream) -> Statement:
    """Read a SHOW, or the query that begins with one: ``SHOW TABLES ORDER BY name``."""
    from_here = p.i
    found = show(p)
    if p.key in _QUERY_CLAUSES:
        p.skip(from_here - p.i)
        return query(p)
    return found


_CREATED: dict[str, Callable[[TokenStream, int], Statement]] = {
    "CLUSTER": create_cluster,
    "CONNECTION": create_connection,
    "DATABASE": create_database,
    "INDEX": lambda p, position: create_index(p, position),
    "ROLE": create_role,
    "SCHEMA": create_schema,
    "SECRET": create_secret,
    "SINK": create_sink,
    "SOURCE": create_source,
    "SUBSOURCE": create_subsource,
    "TABLE": lambda p, position: create_table(p, position, temporary=False),
    "TYPE": create_type,
    "USER": create_role,
    "VIEW": lambda p, position: create_view(p, position, or_replace=False, temporary=False),
}

_RULES: dict[str, Callable[[TokenStream], Statement]] = {
    "(": query,
    "ABORT": rollback,
    "ALTER": alter,
    "BEGIN": begin,
    "CLOSE": close,
    "COMMENT": comment_on,
    "COMMIT": commit,
    "COPY": copy,
    "CREATE": _create,
    "DEALLOCATE": deallocate,
    "DECLARE": declare,
    "DELETE": delete,
    "DISCARD": discard,
    "DROP": drop,
    "END": commit,
    "EXECUTE": execute,
    "EXPLAIN": explain,
    "FETCH": fetch,
    "GRANT": grant,
    "INSERT": insert,
    "INSPECT": show_relation,
    "MERGE": merge,
    "PREPARE": prepare,
    "RAISE": raise_message,
    "REASSIGN": reassign_owned,
    "RESET": reset,
    "REVOKE": revoke,
    "ROLLBACK": rollback,
    "SAVEPOINT": savepoint,
    "RELEASE": release,
    "SELECT": query,
    "SET": set_variable,
    "SHOW": _show,
    "START": start,
    "SUBSCRIBE": subscribe,
    "TABLE": query,
    "TAIL": subscribe,
    "TRUNCATE": truncate,
    "UPDATE": update,
    "VALIDATE": _validate,
    "VALUES": query,
    "WITH": with_statement,
}
