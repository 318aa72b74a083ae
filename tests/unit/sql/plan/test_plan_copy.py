"""COPY's options, against what PostgreSQL 15 says of them."""

import pytest

from headwater.errors import HeadwaterError
from headwater.sql.plan.statements import CopyFormatKind
from tests.golden.plan.small_catalog import plan


def format_of(sql):
    return plan(sql).plan.format


def test_options_in_both_spellings():
    new = format_of(
        "COPY t FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'x', ESCAPE '!')"
    )
    old = format_of("COPY t FROM STDIN WITH DELIMITER AS ';' NULL AS 'x' CSV HEADER ESCAPE AS '!'")
    assert new == old
    assert (new.format, new.header, new.delimiter, new.null, new.escape) == (
        CopyFormatKind.CSV,
        True,
        ";",
        "x",
        "!",
    )
    assert format_of("COPY t FROM STDIN BINARY").format is CopyFormatKind.BINARY


def test_forced_columns_are_positions_among_those_copied():
    format = format_of(
        "COPY t (c, a, b) FROM STDIN (FORMAT csv, FORCE_NULL (a, b), FORCE_NOT_NULL (c))"
    )
    assert (format.force_null, format.force_not_null) == ((1, 2), (0,))
    assert format_of("COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE *)").force_quote == (0, 1, 2)
    assert format_of("COPY t (b) TO STDOUT CSV FORCE QUOTE b").force_quote == (0,)
    assert format_of("COPY t FROM STDIN (HEADER match)").header_match


@pytest.mark.parametrize(
    ("sql", "sqlstate", "message"),
    [
        ("COPY t FROM STDIN (FORMAT xml)", "22023", 'COPY format "xml" not recognized'),
        (
            "COPY t FROM STDIN (FORMAT binary, DELIMITER ',')",
            "42601",
            "cannot specify DELIMITER in BINARY mode",
        ),
        (
            "COPY t FROM STDIN (FORMAT binary, NULL '')",
            "42601",
            "cannot specify NULL in BINARY mode",
        ),
        (
            "COPY t FROM STDIN (FORMAT binary, HEADER)",
            "0A000",
            "cannot specify HEADER in BINARY mode",
        ),
        (
            "COPY t FROM STDIN (DELIMITER 'ab')",
            "0A000",
            "COPY delimiter must be a single one-byte character",
        ),
        ("COPY t FROM STDIN (DELIMITER 'a')", "22023", 'COPY delimiter cannot be "a"'),
        (
            "COPY t FROM STDIN (DELIMITER E'\\n')",
            "22023",
            "COPY delimiter cannot be newline or carriage return",
        ),
        ("COPY t FROM STDIN (QUOTE '''')", "0A000", "COPY quote available only in CSV mode"),
        ("COPY t FROM STDIN (ESCAPE 'e')", "0A000", "COPY escape available only in CSV mode"),
        (
            "COPY t FROM STDIN (FORMAT csv, QUOTE ',')",
            "22023",
            "COPY delimiter and quote must be different",
        ),
        (
            "COPY t FROM STDIN (FORMAT csv, NULL 'a,b')",
            "0A000",
            "COPY delimiter must not appear in the NULL specification",
        ),
        (
            "COPY t FROM STDIN (FORMAT csv, NULL '\"')",
            "0A000",
            "CSV quote character must not appear in the NULL specification",
        ),
        (
            "COPY t FROM STDIN (FORMAT csv, FORCE_QUOTE (a))",
            "0A000",
            "COPY force quote only available using COPY TO",
        ),
        (
            "COPY t TO STDOUT (FORMAT csv, FORCE_NULL (a))",
            "0A000",
            "COPY force null only available using COPY FROM",
        ),
        (
            "COPY t (a) FROM STDIN (FORMAT csv, FORCE_NULL (b))",
            "42P10",
            'FORCE_NULL column "b" not referenced by COPY',
        ),
        (
            "COPY t TO STDOUT (HEADER match)",
            "0A000",
            'cannot use "match" with HEADER in COPY TO',
        ),
    ],
)
def test_options_that_postgres_refuses(sql, sqlstate, message):
    with pytest.raises(HeadwaterError) as caught:
        plan(sql)
    assert (caught.value.sqlstate, caught.value.message) == (sqlstate, message)
