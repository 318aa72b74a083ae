from headwater.catalog.builtin.functions import functions
from headwater.catalog.builtin.shapes import shapes
from headwater.catalog.items import relation_desc


async def test_every_relation_of_the_list_has_its_columns(server):
    snapshot = server.coord.snapshot
    assert len(shapes()) > 300
    for key, wanted in shapes().items():
        schema, _, name = key.partition(".")
        desc = relation_desc(snapshot.resolve_item((schema, name), (), None))
        assert desc is not None, key
        assert [(c.name, c.type, c.nullable) for c in desc.columns] == [
            (c.name, c.type, c.nullable) for c in wanted.columns
        ], key


def test_functions_have_object_ids_of_their_own():
    oids = [function.oid for function in functions()]
    assert len(oids) == len(set(oids))
    named = {function.oid: function.name for function in functions()}
    # PostgreSQL's pg_proc.dat.
    assert (named[1299], named[2803], named[2108]) == ("now", "count", "sum")
