import pytest

from headwater.adapter.variables import SessionVariables, find_variable, parse_value
from headwater.errors import CantChangeRuntimeParam, InvalidParameterValue, UndefinedObject


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("statement_timeout", "10s", "10 s"),
        ("statement_timeout", "5000", "5 s"),
        ("statement_timeout", "1500ms", "1500 ms"),
        ("statement_timeout", "2min", "2 min"),
        ("statement_timeout", "0", "0 s"),
        ("welcome_message", "tr", "on"),
        ("welcome_message", "OFF", "off"),
        ("transaction_isolation", "STRICT  serializable", "strict serializable"),
        ("DateStyle", "iso, mdy", "ISO, MDY"),
        ("client_encoding", "utf8", "UTF8"),
        ("max_query_result_size", "1024MB", "1GB"),
        ("extra_float_digits", "-3", "-3"),
        ("TimeZone", "Europe/Berlin", "Europe/Berlin"),
        ("TimeZone", "-7.5", "-07:30"),
        ("TimeZone", "+1", "+01:00"),
        ("TimeZone", "gmt", "UTC"),
        ("IntervalStyle", "ISO_8601", "iso_8601"),
        ("bytea_output", "escape", "escape"),
        ("search_path", 'a, "B c"', 'a, "B c"'),
        ("search_path", "", ""),
    ],
)
def test_values_are_kept_in_canonical_form(name, given, shown):
    assert parse_value(find_variable(name), [given]) == shown


@pytest.mark.parametrize(
    ("name", "given", "said", "hint"),
    [
        (
            "statement_timeout",
            "soon",
            'invalid value for parameter "statement_timeout": "soon"',
            "",
        ),
        (
            "welcome_message",
            "perhaps",
            'parameter "welcome_message" requires a "boolean" value',
            "",
        ),
        (
            "enable_index_options",
            "2",
            'parameter "enable_index_options" requires a "boolean" value',
            "",
        ),
        ("client_encoding", "latin1", 'invalid value for parameter "client_encoding"', "UTF8"),
        ("transaction_isolation", "chaos", "invalid value for parameter", "serializable"),
        ("TimeZone", "Europe/Nowhere", 'invalid value for parameter "TimeZone"', ""),
        ("max_tables", "many", 'parameter "max_tables" requires a "integer" value', ""),
        ("max_tables", "-1", "-1 is outside the valid range", ""),
        (
            "extra_float_digits",
            "9",
            '9 is outside the valid range for parameter "extra_float_digits" (-15 .. 3)',
            "",
        ),
        ("statement_logging_max_sample_rate", "1.5", "invalid value for parameter", ""),
    ],
)
def test_invalid_values_are_refused(name, given, said, hint):
    with pytest.raises(InvalidParameterValue) as caught:
        parse_value(find_variable(name), [given])
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_unknown_and_fixed_variables():
    variables = SessionVariables({})
    with pytest.raises(UndefinedObject, match="unrecognized configuration parameter"):
        variables.set("nope", ["1"])
    for fixed in ("server_version", "max_tables"):
        with pytest.raises(CantChangeRuntimeParam, match="cannot be changed"):
            variables.set(fixed, ["1"])


def test_layers_from_the_default_to_set_local():
    variables = SessionVariables({"cluster": "of_the_system"})
    assert variables.get("cluster") == "of_the_system"
    variables.set_defaults({"cluster": "of_the_role"})
    variables.set("cluster", ["of_the_session"])
    variables.begin()
    variables.set("cluster", ["local"], local=True)
    assert variables.get("cluster") == "local"
    variables.end(committed=True)
    assert variables.get("cluster") == "of_the_session"
    variables.reset("cluster")
    assert variables.get("cluster") == "of_the_role"


def test_a_rollback_undoes_set():
    variables = SessionVariables({})
    variables.begin()
    variables.set("cluster", ["c"])
    variables.end(committed=False)
    assert variables.get("cluster") == "quickstart"


def test_clients_are_told_of_changes_once():
    variables = SessionVariables({})
    assert variables.changed_reported()["DateStyle"] == "ISO, MDY"
    assert variables.changed_reported() == {}
    variables.set("application_name", ["psql"])
    variables.set("extra_float_digits", ["0"])  # not reported
    assert variables.changed_reported() == {"application_name": "psql"}
