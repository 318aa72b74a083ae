"""Ask a PostgreSQL server for the results of all cases.

``python -m tests.unit.native.record_postgres HOST PORT``
"""

import sys

import psycopg

from tests.unit.native.postgres_cases import RESULTS, read_cases


def main() -> None:
    host, port = sys.argv[1:]
    with psycopg.connect(f"host={host} port={port} user=postgres", autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        lines = []
        for case in read_cases():
            try:
                cursor = psycopg.ClientCursor(connection)
                cursor.execute(case.sql().encode())
                value = cursor.pgresult.get_value(0, 0)
                result = "NULL" if value is None else value.decode()
            except psycopg.Error as error:
                result = f"ERROR {error.diag.sqlstate} {error.diag.message_primary}"
            lines.append(f"{case.line}\t" + result.replace("\n", "\\n") + "\n")
    RESULTS.write_text("".join(lines))


if __name__ == "__main__":
    main()
