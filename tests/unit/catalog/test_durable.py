import pytest

from catalog.conftest import close_client, open_client
from headwater.catalog.codec import Change
from headwater.catalog.durable import FORMAT_VERSION, DurableCatalog
from headwater.errors import Fenced, IncompatibleVersion


async def test_a_commit_is_there_after_a_restart(persist):
    first = await DurableCatalog.open(persist)
    assert first.is_new
    await first.commit([Change(("item", "u1"), None, "{}"), Change(("item", "u2"), None, "x\0y")])
    await first.commit([Change(("item", "u1"), "{}", None)])
    second = await DurableCatalog.open(persist)
    assert not second.is_new
    assert second.state["item", "u2"] == "x\0y"
    assert ("item", "u1") not in second.state
    assert second.epoch == first.epoch + 1


async def test_the_newer_server_fences_the_older(tmp_path):
    old_client, new_client = await open_client(tmp_path), await open_client(tmp_path)
    old = await DurableCatalog.open(old_client)
    await old.commit([Change(("item", "u1"), None, "{}")])
    new = await DurableCatalog.open(new_client)
    with pytest.raises(Fenced):
        await old.commit([Change(("item", "u2"), None, "{}")])
    await new.commit([Change(("item", "u2"), None, "new")])
    assert new.state["item", "u2"] == "new"
    await close_client(old_client)
    await close_client(new_client)


async def test_data_of_a_newer_version_are_refused(persist):
    catalog = await DurableCatalog.open(persist)
    key = ("meta", "format")
    await catalog.commit([Change(key, catalog.state[key], str(FORMAT_VERSION + 1))])
    with pytest.raises(IncompatibleVersion, match="newer version"):
        await DurableCatalog.open(persist)
