"""PostgreSQL's JDBC driver against a real server: what Java programs and BI tools do."""

from pathlib import Path

import pytest

from tests.fixtures import jdbc
from tests.fixtures.headwater import Headwater

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(jdbc.missing() is not None, reason=jdbc.missing() or ""),
]

PROGRAM = Path(__file__).parent / "java" / "DriverChecks.java"
PREPARED = (
    "[-7, 1073741824, 1099511627776, 1.5, -2.25, 12345.678, true, héllo, 2024-02-29, "
    "2024-02-29T12:30:15, 2024-02-29T10:30:15Z, 00112233-4455-6677-8899-aabbccddeeff, "
    "[0, 1, -1], [1, null, 3]]"
)


@pytest.fixture(scope="module")
def said(server: Headwater) -> dict[str, str]:
    """What the Java program has said, by topic."""
    out = jdbc.run(PROGRAM, f"jdbc:postgresql://127.0.0.1:{server.port}/materialize")
    return dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)


@pytest.mark.parametrize("mode", ["simple", "extended"])
def test_queries_transactions_and_parameters(said: dict[str, str], mode: str) -> None:
    assert said[f"{mode} insert"] == "3"
    assert said[f"{mode} rows"] == "[1=x, 2=null, 3=z]"
    assert said[f"{mode} parameter"] == "3 5"


def test_prepared_statements_with_binary_results(said: dict[str, str]) -> None:
    assert [said[f"prepared {n}"] for n in range(3)] == [PREPARED] * 3
    assert said["prepared types"] == "int4 numeric true"
    assert said["prepared parameters"] == "14"
    assert said["batch"] == "50"


def test_portals_of_a_few_rows_at_a_time(said: dict[str, str]) -> None:
    assert said["portal"] == "100 5050"


def test_copy(said: dict[str, str]) -> None:
    assert (said["copy in"], said["copy in csv"], said["copy out"]) == ("2", "1", "3")
    assert said["copied"] == "1,one|2,\\N|3,a,b|"


def test_errors_and_cancellation(said: dict[str, str]) -> None:
    assert (said["error"], said["division"], said["cancel"]) == ("42703", "22012", "57014")


def test_metadata(said: dict[str, str]) -> None:
    assert said["product"] == "PostgreSQL"
    tables = [
        *("described/TABLE", "described_idx/INDEX"),
        *("described_mv/MATERIALIZED VIEW", "described_view/VIEW"),
    ]
    assert sorted(said["tables"].strip("[]").split(", ")) == sorted(tables)
    assert said["only tables"] == "[described]"
    # Types: java.sql.Types.INTEGER 4, VARCHAR 12, NUMERIC 2.
    assert said["columns"] == "[id/int4/4/NO/1, name/text/12/YES/2, price/numeric/2/YES/3]"
    assert said["keys"] == "[]"
    for topic in ("schemas", "catalogs", "table types", "int4", "text"):
        assert said[topic] == "true", topic
    assert said["functions"] == "[]"


def test_metadata_of_keys_and_indexes(said: dict[str, str]) -> None:
    assert said["primary"] == "[b/1/keyed_pkey, a/2/keyed_pkey]"
    assert sorted(said["best row"].strip("[]").split(", ")) == ["a/int4", "b/text"]
    unique = ["keyed_c_key/false/1/c", "keyed_pkey/false/1/b", "keyed_pkey/false/2/a"]
    assert said["unique indexes"] == f"[{', '.join(unique)}]"
    assert said["indexes"] == (f"[{', '.join(unique)}, keyed_idx/true/1/c, keyed_idx/true/2/a + 1]")
    # There are no foreign keys.
    assert (said["imported"], said["exported"], said["cross"]) == ("[]", "[]", "[]")


def test_metadata_of_functions_and_privileges(said: dict[str, str]) -> None:
    assert int(said["abs"]) > 0
    assert int(said["procedures"]) == int(said["abs"])
    assert said["version columns"] == "[ctid]"
    held = said["privileges"].strip("[]").split(", ")
    assert sorted(held) == [
        f"materialize/{privilege}/YES" for privilege in ("DELETE", "INSERT", "SELECT", "UPDATE")
    ]
