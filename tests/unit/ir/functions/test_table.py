"""The function table is well formed and says what PostgreSQL and the surface list say."""

from headwater.ir import functions, kernels
from headwater.ir.functions import SIGNATURES, CastContext, FunctionKind, Pseudo
from headwater.ir.functions.signature import Convey, parse_table
from headwater.types.scalar import BOOL, INT4, INT8, NUMERIC, TEXT, BaseType, array_of


def test_operators_have_one_or_two_arguments():
    operators = [s for s in functions.SIGNATURES if s.kind is FunctionKind.OPERATOR]
    assert len(operators) > 300
    assert all(len(s.args) in (1, 2) and not s.variadic for s in operators)


def test_no_two_overloads_have_the_same_arguments():
    seen = set()
    for s in functions.SIGNATURES:
        key = (s.kind is FunctionKind.OPERATOR, s.name, s.args, s.variadic)
        assert key not in seen, key
        seen.add(key)


def test_oids_are_unique_but_for_shared_overloads():
    oids = [s.oid for s in functions.SIGNATURES if s.oid and s.kind is not FunctionKind.OPERATOR]
    assert len(oids) == len(set(oids))


def test_kernels_are_named_by_function_and_base_types():
    (add,) = [s for s in functions.lookup_operator("+") if s.args == (INT4, INT4)]
    assert (add.kernel, add.result, add.could_error, add.oid) == ("add_int4_int4", INT4, True, 551)
    (lower,) = [s for s in functions.lookup("lower") if s.args == (TEXT,)]
    assert (lower.kernel, lower.could_error) == ("lower_text", False)


def test_comparisons_are_generic():
    assert {s.kernel for s in functions.lookup_operator("<=")} == {"le"}
    assert all(s.result == BOOL for s in functions.lookup_operator("<>"))


def test_table_functions_name_their_columns():
    (each,) = functions.lookup("jsonb_each")
    assert [name for name, _ in each.columns] == ["key", "value"]
    assert each.result is Pseudo.RECORD
    series = functions.lookup("generate_series")
    assert {s.columns[0][0] for s in series} == {"generate_series"}


def test_aggregates_say_how_they_are_maintained():
    by_class = {s.name: s.aggregate for s in functions.SIGNATURES if s.aggregate}
    assert (by_class["sum"], by_class["max"], by_class["array_agg"]) == (
        "accumulable",
        "hierarchical",
        "basic",
    )


def test_sums_widen_as_postgresql_says():
    results = {s.args: s.result for s in functions.lookup("sum")}
    assert results[(INT4,)] == INT8
    assert results[(INT8,)] == NUMERIC


def test_casts_follow_the_contexts():
    cast = functions.lookup_cast
    assert cast(BaseType.INT4, BaseType.INT8).context is CastContext.IMPLICIT
    assert cast(BaseType.INT4, BaseType.INT8).relabel
    assert cast(BaseType.INT8, BaseType.INT4).context is CastContext.ASSIGNMENT
    assert cast(BaseType.INT8, BaseType.INT4).could_error
    assert cast(BaseType.TEXT, BaseType.INT4).context is CastContext.EXPLICIT
    assert cast(BaseType.INT4, BaseType.TEXT).kernel == "cast_int4_text"
    assert cast(BaseType.TEXT, BaseType.VARCHAR).assign_kernel == "assign_text_varchar"
    assert cast(BaseType.ARRAY, BaseType.TEXT).witness
    assert cast(BaseType.DATE, BaseType.INT4) is None


def test_lines_are_read_as_documented():
    table = "f fun: text[],any...->int4 #7 {cej};\n    ->setof int4 =other"
    first, second = parse_table("f fun: text[],any...->int4 #7 {cej};\n    ->int4 =other")
    assert first.args == (array_of(TEXT), Pseudo.ANY)
    assert (first.kernel, first.oid, first.variadic) == ("fun_array_any", 7, True)
    assert (first.propagates_nulls, first.could_error, first.convey) == (False, True, Convey.JSONB)
    assert (second.kernel, second.args) == ("other", ())
    columns = parse_table(table, FunctionKind.TABLE)[1].columns
    assert columns == (("f", INT4),)


def test_unknown_names_have_no_overloads():
    assert functions.lookup("no_such") == ()
    assert functions.lookup_operator("<=>") == ()


def test_a_witness_does_not_make_a_call_null() -> None:
    """``to_jsonb(x, NULL::type)`` is not NULL: the second argument only says x's type."""
    witnessed = {s.kernel for s in SIGNATURES if s.convey is Convey.WITNESS}
    assert "to_jsonb" in witnessed
    assert not witnessed & kernels.NULL_REJECTING
