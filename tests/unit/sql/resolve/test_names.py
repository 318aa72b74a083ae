"""Names of objects, their ids in stored SQL, names that may not be."""

import pytest

from headwater.catalog.items import ItemKind
from headwater.errors import InvalidName, ReservedName, UndefinedObject, WrongObjectType
from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.sql.resolve.names import NameResolver, check_identifier, check_not_reserved
from tests.golden.plan.small_catalog import CATALOG


@pytest.fixture
def names():
    return NameResolver(CATALOG, ("public",), "materialize")


def test_stored_sql_carries_ids_and_reads_back(names):
    (parsed,) = parse_statements("SELECT t.a FROM t JOIN other.t AS o ON true")
    query = parsed.statement
    for table in (query.body.from_[0].left, query.body.from_[0].right):
        names.item(table.name)
    text = to_sql(names.stored(query))
    assert "[u1 AS materialize.public.t]" in text
    assert "[u6 AS materialize.other.t] AS o" in text
    assert list(names.used) == ["u1", "u6"]
    again = NameResolver(CATALOG, (), "nowhere")
    (stored,) = parse_statements(text)
    assert again.item(stored.statement.body.from_[0].left.name).id == "u1"


def test_kinds_are_checked(names):
    name = ObjectName(parts=("t",), position=5)
    with pytest.raises(WrongObjectType, match='"t" is not a view') as caught:
        names.item_of_kind(name, ItemKind.VIEW)
    assert caught.value.position == 5
    with pytest.raises(UndefinedObject, match='connection "nope" does not exist'):
        names.item_of_kind(ObjectName(parts=("nope",)), ItemKind.CONNECTION)


def test_new_items_go_to_the_first_schema_that_exists(names):
    assert names.schema_to_create_in(ObjectName(parts=("x",))).name == "public"
    assert names.schema_to_create_in(ObjectName(parts=("other", "x"))).name == "other"
    assert names.schema_to_create_in(ObjectName(parts=("x",)), temporary=True) is None
    with pytest.raises(ReservedName):
        names.schema_to_create_in(ObjectName(parts=("mz_catalog", "x")))


def test_names_that_may_not_be():
    for name in ("", ".", ".."):
        with pytest.raises(InvalidName):
            check_identifier(name)
    with pytest.raises(InvalidName, match="255 bytes"):
        check_identifier("é" * 128)
    check_identifier("é" * 127)
    with pytest.raises(ReservedName, match='unacceptable cluster name "pg_x"'):
        check_not_reserved("cluster", "pg_x")
