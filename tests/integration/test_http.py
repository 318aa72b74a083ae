"""HTTP: alive, ready, and metrics of what is there."""

import urllib.request

import pytest

from tests.fixtures.headwater import Headwater

pytestmark = pytest.mark.server


def get(server: Headwater, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=10) as reply:
        assert reply.status == 200
        return str(reply.read().decode())


def test_ready_and_alive(server: Headwater) -> None:
    assert get(server, "/api/readyz") == "ready"
    assert get(server, "/api/livez") == "ready"


def test_metrics_show_frontiers_replicas_and_connections(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE measured (a int)")
        text = get(server, "/metrics")
        (row,) = connection.execute("SELECT id FROM mz_tables WHERE name = 'measured'").fetchall()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    upper = float(lines[f'headwater_storage_upper_timestamp_ms{{id="{row[0]}"}}'])
    since = float(lines[f'headwater_storage_since_timestamp_ms{{id="{row[0]}"}}'])
    assert since <= upper
    assert float(lines["headwater_pgwire_connections_total"]) >= 1
    assert any(line.startswith("headwater_cluster_replica_online") for line in lines)
