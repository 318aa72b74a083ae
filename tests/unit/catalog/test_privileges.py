"""Privileges: grants, revocations, defaults, owners. Expected: PostgreSQL's ACL rules."""

from headwater.catalog.privileges import (
    PUBLIC,
    AclItem,
    DefaultPrivilegeKey,
    granted,
    initial,
    owned,
    revoked,
    transferred,
)
from headwater.types.ids import DatabaseId, RoleId, SchemaId

ME, JOE, TEAM = RoleId("u1"), RoleId("u2"), RoleId("u3")


def texts(acl):
    return [str(item) for item in acl]


def test_an_owner_has_what_the_kind_has():
    assert texts(owned("table", ME)) == ["u1=arwd/u1"]
    assert texts(owned("view", ME)) == ["u1=r/u1"]
    assert owned("index", ME) == ()


def test_grants_add_up_in_the_order_of_letters():
    acl = granted(owned("table", ME), JOE, ME, "d")
    acl = granted(acl, JOE, ME, "a")
    assert texts(acl) == ["u1=arwd/u1", "u2=ad/u1"]


def test_public_is_written_as_nothing():
    assert texts(granted((), PUBLIC, ME, "U")) == ["=U/u1"]


def test_a_revocation_takes_what_its_grantor_gave_only():
    acl = (AclItem(JOE, ME, "ar"), AclItem(JOE, TEAM, "r"))
    assert texts(revoked(acl, JOE, ME, "r")) == ["u2=a/u1", "u2=r/u3"]
    assert texts(revoked(acl, JOE, ME, "ar")) == ["u2=r/u3"]


def test_a_new_owner_takes_the_place_of_the_old_one():
    acl = granted(owned("table", ME), JOE, ME, "r")
    assert texts(transferred(acl, ME, TEAM)) == ["u3=arwd/u3", "u2=r/u3"]
    assert texts(transferred(acl, ME, JOE)) == ["u2=arwd/u2"]


def test_defaults_apply_by_creator_kind_and_place():
    database, schema = DatabaseId("u5"), SchemaId("u6")
    defaults = {
        DefaultPrivilegeKey(ME, "table", JOE): "ar",
        DefaultPrivilegeKey(PUBLIC, "type", PUBLIC): "U",
        DefaultPrivilegeKey(ME, "table", TEAM, database, schema): "r",
        DefaultPrivilegeKey(TEAM, "table", JOE): "d",
    }
    here = {"database": database, "schema": schema}
    assert texts(initial(defaults, "table", ME, **here)) == ["u1=arwd/u1", "u2=ar/u1", "u3=r/u1"]
    # A view has SELECT alone, and what is granted on tables counts for it.
    assert texts(initial(defaults, "view", ME)) == ["u1=r/u1", "u2=r/u1"]
    assert texts(initial(defaults, "type", JOE)) == ["u2=U/u2", "=U/u2"]
