"""A small catalog to look things up in, and a real persist client on a temporary folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headwater.catalog.builtin.initial import initial_objects, system_schemas
from headwater.catalog.items import Table
from headwater.catalog.ops import Create, Op
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import transact
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types import scalar
from headwater.types.ids import GlobalId, RoleId, SchemaId, ShardId
from headwater.types.relation import Column, RelationDesc

DESC = RelationDesc((Column("a", scalar.INT4), Column("b", scalar.TEXT, nullable=False)))


def empty() -> CatalogSnapshot:
    return CatalogSnapshot(
        version=0,
        databases={},
        schemas={schema.id: schema for schema in system_schemas()},
        items={},
        clusters={},
        roles={},
        sizes={},
        variables={},
        comments={},
    )


def start() -> CatalogSnapshot:
    objects = initial_objects()
    ops: list[Op] = [
        Create(o) for o in (*objects.roles, *objects.databases, *objects.schemas, *objects.clusters)
    ]
    return transact(empty(), ops).snapshot


def table(id: str, name: str, schema: str = "u3", uses: tuple[str, ...] = ()) -> Table:
    return Table(
        id=GlobalId(id),
        oid=30_000 + int(id[1:]),
        name=name,
        schema=SchemaId(schema),
        owner=RoleId("u1"),
        create_sql=f"CREATE TABLE materialize.public.{name} (a int4, b text NOT NULL)",
        desc=DESC,
        shard=ShardId(f"shard-{id}"),
        depends_on=tuple(GlobalId(used) for used in uses),
    )


@pytest.fixture
def catalog() -> CatalogSnapshot:
    return start()


@pytest.fixture
async def persist(tmp_path: Path) -> AsyncIterator[PersistClient]:
    client = await open_client(tmp_path)
    yield client
    await close_client(client)


async def open_client(folder: Path) -> PersistClient:
    clock, rng, tasks = SystemClock(), SystemRng(), SupervisedTasks()
    blob = LocalBlob(folder / "blob")
    consensus = await SqliteConsensus.open(folder / "consensus.db")
    client = PersistClient(blob, consensus, clock, rng, tasks)
    await client.start()
    return client


async def close_client(client: PersistClient) -> None:
    await client.close()
    await client.tasks.close()
    await client.consensus.close()
