"""The time zones that can be asked for by name, and the abbreviations, as views over constants.

``time_zones.txt`` has the names of the tz database, and the abbreviations that PostgreSQL 15 takes
by default (``timezone_abbreviations``): minutes ahead of UTC, with ``+`` where it is summer time.
"""

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def _sections() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    section = ""
    for line in files(__package__).joinpath("time_zones.txt").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            found[section] = []
        else:
            found[section].extend(line.split())
    return {name: tuple(words) for name, words in found.items()}


def _names() -> str:
    rows = ", ".join(f"('{name}')" for name in _sections()["names"])
    return f"SELECT n.name FROM (VALUES {rows}) AS n(name)"


def _abbreviations() -> str:
    rows = []
    for entry in _sections()["abbreviations"]:
        name, _, minutes = entry.partition("=")
        rows.append(f"('{name.rstrip('+')}', {minutes}, {str(name.endswith('+')).lower()})")
    return (
        "SELECT a.abbreviation, a.minutes * INTERVAL '1 minute' AS utc_offset, a.dst,"
        " NULL::text AS timezone_name"
        f" FROM (VALUES {', '.join(rows)}) AS a(abbreviation, minutes, dst)"
    )


MZ_TIME_ZONES = (
    ("mz_timezone_names", _names()),
    ("mz_timezone_abbreviations", _abbreviations()),
)
PG_TIME_ZONES = (
    (
        "pg_timezone_names",
        """
        SELECT z.name, (z.shift).abbrev AS abbrev,
               (z.shift).base_utc_offset + (z.shift).dst_offset AS utc_offset,
               (z.shift).dst_offset <> INTERVAL '0' AS is_dst
        FROM (SELECT n.name, timezone_offset(n.name, now()) AS shift
              FROM mz_catalog.mz_timezone_names AS n) AS z
        """,
    ),
    (
        "pg_timezone_abbrevs",
        """
        SELECT abbreviation AS abbrev, utc_offset, dst AS is_dst
        FROM mz_catalog.mz_timezone_abbreviations
        """,
    ),
)
