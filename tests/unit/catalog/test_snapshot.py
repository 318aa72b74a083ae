import pytest

from catalog.conftest import table
from headwater.catalog.ops import Create
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import transact
from headwater.errors import (
    InvalidCatalogName,
    InvalidSchemaName,
    UndefinedObject,
    UndefinedTable,
)


@pytest.fixture
def orders(catalog: CatalogSnapshot) -> CatalogSnapshot:
    return transact(catalog, [Create(table("u10", "orders"))]).snapshot


@pytest.mark.parametrize(
    "parts", [("orders",), ("public", "orders"), ("materialize", "public", "orders")]
)
def test_every_spelling_of_a_name_finds_the_item(orders, parts):
    assert orders.resolve_item(parts, ("public",), "materialize").id == "u10"


def test_an_unknown_relation_hints_at_near_misses(orders):
    with pytest.raises(UndefinedTable) as error:
        orders.resolve_item(("order",), ("public",), "materialize", position=15)
    assert error.value.message == 'relation "order" does not exist'
    assert error.value.hint == 'Perhaps you meant "orders".'
    assert error.value.position == 15


def test_unknown_containers_are_told_apart(orders):
    with pytest.raises(InvalidSchemaName):
        orders.resolve_item(("nope", "orders"), ("public",), "materialize")
    with pytest.raises(InvalidCatalogName):
        orders.resolve_item(("nope", "public", "orders"), ("public",), "materialize")


def test_a_schema_outside_the_search_path_is_not_searched(orders):
    with pytest.raises(UndefinedTable):
        orders.resolve_item(("orders",), (), "materialize")


def test_the_first_existing_schema_of_the_path_takes_new_items(catalog):
    assert catalog.creation_schema(("nope", "public"), "materialize").name == "public"
    with pytest.raises(InvalidSchemaName):
        catalog.creation_schema(("nope",), "materialize")


def test_an_unknown_cluster_is_an_undefined_object(catalog):
    with pytest.raises(UndefinedObject, match="unknown cluster"):
        catalog.cluster("quickstar")


def test_dependents_come_before_what_they_use(catalog):
    made = transact(
        catalog,
        [
            Create(table("u10", "a")),
            Create(table("u11", "b", uses=("u10",))),
            Create(table("u12", "c", uses=("u11", "u10"))),
        ],
    ).snapshot
    assert made.used_by("u10") == ("u11", "u12")
    assert made.dependents_of(["u10"]) == ["u12", "u11", "u10"]
