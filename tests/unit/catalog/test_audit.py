"""Events of the audit log: shapes from Materialize's documentation of ``mz_audit_events``."""

import msgspec

from catalog.conftest import table
from headwater.catalog.audit import record
from headwater.catalog.items import Cluster, CommentKey, Membership, Replica, Role
from headwater.catalog.ops import (
    Create,
    DropCluster,
    DropItem,
    ResetVariables,
    SetComment,
    SetDefaultPrivilege,
    SetVariable,
    Update,
)
from headwater.catalog.privileges import AclItem, DefaultPrivilegeKey
from headwater.catalog.transact import transact


def told(catalog, *ops, by="u1"):
    events = transact(catalog, list(ops), by).events
    return [(e.event_type, e.object_type, e.details) for e in events]


FULL = {"id": "u10", "database": "materialize", "schema": "public", "item": "t"}


def test_an_item_is_told_with_its_full_name(catalog):
    made = Create(table("u10", "t"))
    assert told(catalog, made) == [("create", "table", FULL)]
    assert told(catalog, made, DropItem("u10"))[1] == ("drop", "table", FULL)


def test_temporary_objects_are_not_told(catalog):
    assert told(catalog, Create(table("t1", "t"))) == []


def test_a_new_name_is_told_beside_the_old_one(catalog):
    made = transact(catalog, [Create(table("u10", "t"))]).snapshot
    (renamed,) = told(made, Update(msgspec.structs.replace(made.item("u10"), name="r")))
    place = {"database": "materialize", "schema": "public"}
    assert renamed[:2] == ("alter", "table")
    assert renamed[2] == {
        "id": "u10",
        "old_name": {**place, "item": "t"},
        "new_name": {**place, "item": "r"},
    }


def test_grants_and_revokes_are_told_by_grantee(catalog):
    made = transact(catalog, [Create(table("u10", "t"))]).snapshot
    item = made.item("u10")
    granted = (*item.privileges, AclItem("u3", "u1", "ar"))
    more = Update(msgspec.structs.replace(item, privileges=granted))
    details = {"object_id": "Iu10", "grantee_id": "u3", "grantor_id": "u1", "privileges": "ar"}
    assert told(made, more) == [("grant", "table", details)]
    after = transact(made, [more]).snapshot
    assert told(after, Update(item)) == [("revoke", "table", details)]


def test_an_owner_is_told_without_the_privileges_that_come_with_it(catalog):
    made = transact(catalog, [Create(table("u10", "t"))]).snapshot
    item = msgspec.structs.replace(
        made.item("u10"), owner="u3", privileges=(AclItem("u3", "u3", "arwd"),)
    )
    owners = {"object_id": "Iu10", "old_owner_id": "u1", "new_owner_id": "u3"}
    assert told(made, Update(item)) == [("alter", "table", owners)]


def test_a_cluster_is_told_before_its_replicas_and_dropped_after_them(catalog):
    replica = Replica(id="u7", name="r1", cluster="u5", owner="u1", size="50cc")
    cluster = Cluster(id="u5", name="c", owner="u1", size="50cc", replicas=(replica,))
    named = {"cluster_id": "u5", "cluster_name": "c", "replica_id": "u7", "replica_name": "r1"}
    assert told(catalog, Create(cluster), DropCluster("u5")) == [
        ("create", "cluster", {"id": "u5", "name": "c"}),
        (
            "create",
            "cluster-replica",
            {
                **named,
                "logical_size": "50cc",
                "billed_as": None,
                "internal": False,
                "reason": "manual",
            },
        ),
        ("drop", "cluster-replica", {**named, "reason": "manual"}),
        ("drop", "cluster", {"id": "u5", "name": "c"}),
    ]


def test_a_role_and_its_membership(catalog):
    role = Role(id="u5", oid=30_005, name="r")
    member = msgspec.structs.replace(role, groups=(Membership("u1", "s1"),))
    assert told(catalog, Create(role), Update(member), by="u1") == [
        ("create", "role", {"id": "u5", "name": "r", "auto_provision_source": None}),
        (
            "grant",
            "role",
            {"role_id": "u1", "member_id": "u5", "grantor_id": "s1", "executed_by": "u1"},
        ),
    ]
    ((_, _, details),) = told(catalog, Create(role, provisioned=True), by=None)
    assert details["auto_provision_source"] == "none"


def test_default_privileges_comments_and_variables(catalog):
    key = DefaultPrivilegeKey("u1", "table", "p", "u1", "u3")
    assert told(
        catalog,
        SetDefaultPrivilege(key, "r"),
        SetComment(CommentKey("cluster", "u1"), "fast"),
        SetVariable("max_tables", "7"),
        ResetVariables(),
    ) == [
        (
            "grant",
            "table",
            {
                "role_id": "u1",
                "database_id": "u1",
                "schema_id": "u3",
                "grantee_id": "p",
                "privileges": "r",
            },
        ),
        ("comment", "cluster", {"id": "Cluster(User(1))", "name": "quickstart"}),
        ("alter", "system", {"name": "max_tables", "value": "7"}),
        ("alter", "system", None),
    ]


def test_details_are_stored_with_their_keys_in_order(catalog):
    (event,) = transact(catalog, [Create(table("u10", "t"))]).events
    assert record(event, 3, "someone", 5).details == (
        '{"database":"materialize","id":"u10","item":"t","schema":"public"}'
    )
