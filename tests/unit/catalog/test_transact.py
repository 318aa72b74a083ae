import msgspec
import pytest

from catalog.conftest import table
from headwater.catalog.codec import DurableItem, from_json
from headwater.catalog.items import CommentKey, Database
from headwater.catalog.ops import (
    Create,
    DropCluster,
    DropDatabase,
    DropItem,
    DropRole,
    SetComment,
    SetVariable,
    Update,
)
from headwater.catalog.transact import transact
from headwater.errors import (
    DependentObjectsStillExist,
    DuplicateDatabase,
    DuplicateTable,
    UndefinedObject,
)
from headwater.types.ids import DatabaseId, RoleId


def test_a_new_item_appears_in_the_next_snapshot_only(catalog):
    made = transact(catalog, [Create(table("u10", "t"))])
    assert made.snapshot.version == catalog.version + 1
    assert made.snapshot.item("u10").name == "t"
    assert catalog.try_item("u10") is None


def test_a_new_item_is_one_durable_row_that_can_be_read_back(catalog):
    (change,) = transact(catalog, [Create(table("u10", "t"))]).changes
    assert (change.key, change.old) == (("item", "u10"), None)
    item = from_json(change.new, DurableItem)
    assert (item.name, item.shard, item.kind.value) == ("t", "shard-u10", "table")


def test_builtin_tables_get_the_items_rows_and_lose_them_again(catalog):
    made = transact(catalog, [Create(table("u10", "t"))])
    gained = {(u.table, u.row) for u in made.table_updates}
    assert {t for t, _ in gained} >= {"mz_catalog.mz_tables", "mz_catalog.mz_columns"}
    gone = transact(made.snapshot, [DropItem("u10")])
    assert {(u.table, u.row) for u in gone.table_updates} == gained
    assert {u.diff for u in gone.table_updates} == {-1}


def test_making_and_dropping_in_one_transaction_leaves_nothing(catalog):
    done = transact(catalog, [Create(table("u10", "t")), DropItem("u10")])
    assert done.changes == ()
    assert done.table_updates == ()


def test_a_name_is_taken_once(catalog):
    made = transact(catalog, [Create(table("u10", "t"))]).snapshot
    with pytest.raises(DuplicateTable, match='relation "t" already exists'):
        transact(made, [Create(table("u11", "t"))])
    twin = Database(id=DatabaseId("u9"), oid=1, name="materialize", owner=RoleId("u1"))
    with pytest.raises(DuplicateDatabase):
        transact(catalog, [Create(twin)])


def test_a_rename_frees_the_old_name_in_the_same_transaction(catalog):
    made = transact(catalog, [Create(table("u10", "t"))]).snapshot
    renamed = msgspec.structs.replace(made.item("u10"), name="old")
    swapped = transact(made, [Update(renamed), Create(table("u11", "t"))]).snapshot
    assert swapped.resolve_item(("t",), ("public",), "materialize").id == "u11"


def test_what_is_used_cannot_be_dropped_alone(catalog):
    made = transact(
        catalog, [Create(table("u10", "a")), Create(table("u11", "b", uses=("u10",)))]
    ).snapshot
    with pytest.raises(DependentObjectsStillExist, match='cannot drop table "a"'):
        transact(made, [DropItem("u10")])
    assert transact(made, [DropItem("u11"), DropItem("u10")]).snapshot.try_item("u10") is None


def test_containers_and_owners_in_use_stay(catalog):
    made = transact(catalog, [Create(table("u10", "a"))]).snapshot
    with pytest.raises(DependentObjectsStillExist):
        transact(made, [DropDatabase("u1")])
    with pytest.raises(DependentObjectsStillExist):
        transact(made, [DropRole("u1")])
    assert "u1" not in transact(made, [DropCluster("u1")]).snapshot.clusters


def test_changing_what_is_gone_is_an_error(catalog):
    with pytest.raises(UndefinedObject):
        transact(catalog, [Update(table("u10", "t"))])
    with pytest.raises(UndefinedObject):
        transact(catalog, [DropItem("u10")])


def test_comments_go_with_their_object(catalog):
    key = CommentKey("table", "u10", None)
    made = transact(catalog, [Create(table("u10", "t")), SetComment(key, "hello")]).snapshot
    assert made.comments == {key: "hello"}
    assert transact(made, [DropItem("u10")]).snapshot.comments == {}


def test_a_system_variable_is_set_and_reset(catalog):
    changed = transact(catalog, [SetVariable("max_tables", "7")])
    assert changed.snapshot.variables == {"max_tables": "7"}
    reset = transact(changed.snapshot, [SetVariable("max_tables", None)])
    assert [(c.old, c.new) for c in reset.changes] == [("7", None)]
