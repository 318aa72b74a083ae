"""SQLAlchemy 2 with each of its PostgreSQL drivers: tables made, reflected, written and read."""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.fixtures.headwater import Headwater

pytestmark = pytest.mark.server
DRIVERS = ("psycopg", "psycopg2")


def url(server: Headwater, driver: str) -> str:
    return f"postgresql+{driver}://materialize@127.0.0.1:{server.port}/materialize"


def parents(name: str) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(20), nullable=False, unique=True),
        sa.Column("amount", sa.Numeric(10, 2), server_default="0"),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("n", sa.Integer, sa.CheckConstraint("n > 0", name=f"{name}_positive")),
        comment="what is tested",
    )


@pytest.fixture(params=DRIVERS)
def engine(request: pytest.FixtureRequest, server: Headwater) -> Iterator[sa.Engine]:
    """An engine whose transactions may read and write."""
    made = sa.create_engine(
        url(server, request.param), execution_options={"postgresql_readonly": False}
    )
    yield made
    made.dispose()


@pytest.fixture
def table(engine: sa.Engine) -> Iterator[sa.Table]:
    """A table, made as applications make theirs: looked for, and created in one transaction."""
    made = parents(f"parents_{engine.driver}")
    made.metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in more_of(made.name):
            connection.execute(sa.text(statement))
    yield made
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {made.name} CASCADE"))


def more_of(name: str) -> tuple[str, ...]:
    return (
        f"CREATE INDEX {name}_idx ON {name} (n, (id + 1))",
        f"CREATE VIEW {name}_view AS SELECT id FROM {name}",
    )


def test_a_table_is_reflected(engine: sa.Engine, table: sa.Table) -> None:
    looks_as_it_was_made(sa.inspect(engine), table.name)
    metadata = sa.MetaData()
    metadata.reflect(engine, views=True, only=lambda name, _: name.startswith(table.name))
    reflected = metadata.tables[table.name]
    assert [column.name for column in reflected.primary_key] == ["id"]
    assert f"{table.name}_view" in metadata.tables


def looks_as_it_was_made(found: Inspector, name: str) -> None:
    assert found.has_table(name)
    assert not found.has_table("nothing")
    assert name in found.get_table_names()
    assert f"{name}_view" in found.get_view_names()
    assert found.get_view_definition(f"{name}_view") is not None
    columns = {column["name"]: column for column in found.get_columns(name)}
    assert [repr(column["type"]) for column in columns.values()] == [
        "INTEGER()",
        "VARCHAR(length=20)",
        "NUMERIC(precision=39, scale=2)",
        "TIMESTAMP(timezone=True)",
        "INTEGER()",
    ]
    assert [column["nullable"] for column in columns.values()] == [False, False, True, True, True]
    assert columns["amount"]["default"] == "'0'"
    key = found.get_pk_constraint(name)
    assert (key["name"], key["constrained_columns"]) == (f"{name}_pkey", ["id"])
    (unique,) = found.get_unique_constraints(name)
    assert (unique["name"], unique["column_names"]) == (f"{name}_name_key", ["name"])
    (check,) = found.get_check_constraints(name)
    assert (check["name"], check["sqltext"]) == (f"{name}_positive", "n > 0")
    assert found.get_foreign_keys(name) == []
    assert found.get_table_comment(name) == {"text": "what is tested"}
    by_name = {index["name"]: index for index in found.get_indexes(name)}
    assert by_name[f"{name}_idx"]["column_names"] == ["n", None]
    assert by_name[f"{name}_idx"]["expressions"] == ["n", "id + 1"]
    assert by_name[f"{name}_name_key"]["unique"]


def test_rows_go_there_and_back(engine: sa.Engine, table: sa.Table) -> None:
    with engine.begin() as connection:
        rows = [
            {"id": 1, "name": "a", "amount": Decimal("1.50"), "n": 1},
            {"id": 2, "name": "b", "amount": Decimal(2), "n": None},
        ]
        connection.execute(sa.insert(table), rows)
        connection.execute(sa.update(table).where(table.c.id == 2).values(n=7))
    with engine.connect() as connection:
        total = sa.select(sa.func.count(), sa.func.sum(table.c.amount), sa.func.max(table.c.n))
        assert connection.execute(total).one() == (2, Decimal("3.5"), 7)
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(table), [{"id": 1, "name": "c"}])


def test_objects_with_nested_transactions(engine: sa.Engine, table: sa.Table) -> None:
    parent = _mapped(table)
    with Session(engine) as session:
        session.add(parent(id=1, name="a"))
        session.flush()
        with session.begin_nested():
            session.add(parent(id=2, name="b"))
        nested = session.begin_nested()
        session.add(parent(id=2, name="c"))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()
        nested.rollback()
        found = session.get(parent, 1)
        assert found is not None
        found.name = "z"
        session.commit()
    with Session(engine) as session:
        session.delete(session.get(parent, 2))
        session.commit()
        assert session.execute(sa.select(parent.id, parent.name)).all() == [(1, "z")]


def _mapped(table: sa.Table) -> Callable[..., object]:
    class Base(DeclarativeBase):
        pass

    class Parent(Base):
        __tablename__ = table.name
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]

    return Parent


def test_asyncpg(server: Headwater) -> None:
    made = parents("parents_asyncpg")

    async def run() -> None:
        engine = create_async_engine(url(server, "asyncpg"))
        async with engine.begin() as connection:
            await connection.run_sync(made.metadata.create_all)
        async with engine.begin() as connection:
            for statement in more_of(made.name):
                await connection.execute(sa.text(statement))
        async with engine.begin() as connection:
            await connection.run_sync(
                lambda found: looks_as_it_was_made(sa.inspect(found), made.name)
            )
        async with engine.begin() as connection:
            await connection.execute(sa.insert(made), [{"id": 1, "name": "a", "n": 1}])
        async with engine.begin() as connection:
            assert (await connection.execute(sa.select(made.c.name))).all() == [("a",)]
        await engine.dispose()

    asyncio.run(run())
