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
        ("search_path", 'a, "B c"', 'a, "B c"'),
        ("search_path", "", ""),
    ],
)
def test_values_are_kept_in_canonical_form(name, given, shown):
    assert parse_value(find_variable(name), [given]) == shown


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("statement_timeout", "soon"),
        ("welcome_message", "perhaps"),
        ("transaction_isolation", "chaos"),
        ("client_encoding", "latin1"),
        ("extra_float_digits", "9"),
        ("TimeZone", "Europe/Berlin"),
    ],
)
def test_invalid_values_are_refused(name, given):
    with pytest.raises(InvalidParameterValue, match="invalid value for parameter"):
        parse_value(find_variable(name), [given])


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
