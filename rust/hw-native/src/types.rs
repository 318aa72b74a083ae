//! What Python sees of `hw-types` and `hw-expr`: values, rows, evaluation.

use hw_expr::aggregate::{self, Aggregate};
use hw_expr::error::EvalError;
use hw_expr::mfp::{Mfp, Scratch};
use hw_expr::scalar::ScalarExpr;
use hw_expr::table::{self, TableFunc};
use hw_expr::{format, kernel, parse};
use hw_types::arena::Arena;
use hw_types::container;
use hw_types::datum::{Array, Datum, List, Map, Record};
use hw_types::flat::Updates;
use hw_types::order::ColumnOrder;
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde::de::DeserializeOwned;

fn malformed(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> PyResult<T> {
    rmp_serde::from_slice(bytes).map_err(malformed)
}

/// The class of `headwater.errors` that the error's code names.
fn raised(py: Python<'_>, error: &EvalError) -> PyErr {
    let of = py.import("headwater.native.raised").and_then(|module| module.getattr("error_of"));
    match of.and_then(|of| of.call1((error.sqlstate(), error.message()))) {
        Ok(value) => PyErr::from_value(value),
        Err(failed) => failed,
    }
}

/// An error as Python takes it where errors are data: its code and message.
fn as_data<'py>(py: Python<'py>, error: &EvalError) -> PyResult<Bound<'py, PyAny>> {
    Ok((error.sqlstate(), error.message()).into_pyobject(py)?.into_any())
}

/// The datum that a text writes; `ty` is msgpack.
#[pyfunction]
fn datum_from_text<'py>(py: Python<'py>, ty: &[u8], text: &str) -> PyResult<Bound<'py, PyBytes>> {
    let datum = parse::from_text(&unpack(ty)?, text).map_err(|error| raised(py, &error))?;
    Ok(PyBytes::new(py, &datum))
}

/// A datum's text form, `None` for NULL.
#[pyfunction]
fn datum_to_text(ty: &[u8], datum: &[u8]) -> PyResult<Option<String>> {
    let ty: ScalarType = unpack(ty)?;
    row::check(datum, 1).map_err(malformed)?;
    let arena = Arena::new();
    let datum = Datum::from_bytes(datum, &arena).map_err(malformed)?;
    Ok((!datum.is_null()).then(|| format::to_text(&ty, datum)))
}

/// A datum's binary form, `None` for NULL.
#[pyfunction]
fn datum_to_binary<'py>(py: Python<'py>, ty: &[u8], datum: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let ty: ScalarType = unpack(ty)?;
    row::check(datum, 1).map_err(malformed)?;
    let arena = Arena::new();
    let datum = Datum::from_bytes(datum, &arena).map_err(malformed)?;
    if datum.is_null() {
        return Ok(None);
    }
    let mut out = Vec::new();
    format::binary(&ty, datum, &mut out).map_err(|error| raised(py, &error))?;
    Ok(Some(PyBytes::new(py, &out)))
}

/// The datum that a binary form holds.
#[pyfunction]
fn datum_from_binary<'py>(py: Python<'py>, ty: &[u8], data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let datum = parse::from_binary(&unpack(ty)?, data).map_err(|error| raised(py, &error))?;
    Ok(PyBytes::new(py, &datum))
}

/// The datum of a whole number.
#[pyfunction]
fn encode_int<'py>(py: Python<'py>, value: &Bound<'py, PyInt>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    push_whole(value, &mut out)?;
    Ok(PyBytes::new(py, &out))
}

/// The datum of a text.
#[pyfunction]
fn encode_text<'py>(py: Python<'py>, value: &str) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    row::push_text(&mut out, value);
    PyBytes::new(py, &out)
}

/// The bytes of each datum of a row.
#[pyfunction]
fn row_split<'py>(py: Python<'py>, row: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let (mut datums, mut rest) = (Vec::new(), row);
    while !rest.is_empty() {
        let (datum, tail) = rest.split_at(row::try_skip(rest).map_err(malformed)?);
        datums.push(PyBytes::new(py, datum));
        rest = tail;
    }
    Ok(datums)
}

fn push_whole(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    match value.extract::<i64>() {
        Ok(value) => row::push_int(out, value),
        Err(_) => row::push_uint(out, value.extract::<u64>()?),
    }
    Ok(())
}

fn is_whole(base: BaseType) -> bool {
    use BaseType as B;
    matches!(
        base,
        B::Int2
            | B::Int4
            | B::Int8
            | B::Uint2
            | B::Uint4
            | B::Uint8
            | B::Oid
            | B::Regclass
            | B::Regproc
            | B::Regtype
            | B::MzTimestamp
            | B::Date
            | B::Time
            | B::Timestamp
            | B::Timestamptz
    )
}

fn element(ty: &ScalarType) -> PyResult<&ScalarType> {
    ty.element.as_deref().ok_or_else(|| PyTypeError::new_err("a container's type lacks its element"))
}

/// Appends a Python value as a datum of a type.
fn push_value(ty: &ScalarType, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    if value.is_none() {
        row::push_null(out);
        return Ok(());
    }
    if let Ok(text) = value.cast::<PyString>() {
        return parse::push_from_text(ty, text.to_str()?, out).map_err(|error| raised(value.py(), &error));
    }
    match ty.base {
        BaseType::Bool => row::push_datum(out, Datum::bool(value.extract()?)),
        base if is_whole(base) => push_whole(value, out)?,
        BaseType::Float4 => row::push_datum(out, Datum::Float4(value.extract()?)),
        BaseType::Float8 => row::push_datum(out, Datum::Float8(value.extract()?)),
        BaseType::Bytea => row::push_datum(out, Datum::Bytes(value.extract()?)),
        BaseType::Array | BaseType::List | BaseType::Map | BaseType::Record => {
            push_container(ty, value, out)?
        }
        // A number, a UUID, a Decimal: its text is PostgreSQL's.
        _ => {
            let text = value.str()?;
            parse::push_from_text(ty, text.to_str()?, out).map_err(|error| raised(value.py(), &error))?;
        }
    }
    Ok(())
}

fn push_container(ty: &ScalarType, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let mut body = Vec::new();
    match ty.base {
        BaseType::Map => {
            let mut entries: Vec<(String, Bound<'_, PyAny>)> = Vec::new();
            for (key, item) in value.cast::<PyDict>()?.iter() {
                entries.push((key.extract()?, item));
            }
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, item) in &entries {
                row::push_text(&mut body, key);
                push_value(element(ty)?, item, &mut body)?;
            }
            container::push_end(&mut body);
            row::push_datum(out, Datum::Map(Map(&body)));
        }
        BaseType::Record => {
            let fields = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            if fields.len() != ty.fields.len() {
                return Err(PyValueError::new_err("a record has another number of fields"));
            }
            for (field, item) in ty.fields.iter().zip(&fields) {
                push_value(&field.ty.ty, item, &mut body)?;
            }
            container::push_end(&mut body);
            row::push_datum(out, Datum::Record(Record(&body)));
        }
        base => {
            let items = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            for item in &items {
                push_value(element(ty)?, item, &mut body)?;
            }
            if base == BaseType::List {
                container::push_end(&mut body);
                row::push_datum(out, Datum::List(List(&body)));
            } else {
                let dimensions = if items.is_empty() { vec![] } else { vec![items.len()] };
                container::push_array_end(&mut body, &dimensions);
                row::push_datum(out, Datum::Array(Array(&body)));
            }
        }
    }
    Ok(())
}

/// A flat batch of Python rows at time 0 with diff 1; `types` is msgpack.
#[pyfunction]
fn encode_rows<'py>(
    py: Python<'py>,
    types: &[u8],
    rows: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let types: Vec<ScalarType> = unpack(types)?;
    let mut batch = Updates::new();
    let mut row = Vec::new();
    for values in rows.try_iter()? {
        let values = values?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        if values.len() != types.len() {
            let message =
                format!("a row has {} values where there are {} columns", values.len(), types.len());
            return Err(PyValueError::new_err(message));
        }
        row.clear();
        for (ty, value) in types.iter().zip(&values) {
            push_value(ty, value, &mut row)?;
        }
        batch.push(&row, 0, 1);
    }
    Ok(PyBytes::new(py, &batch.encode().map_err(malformed)?))
}

/// A datum as a Python value: plain ones where there is a counterpart, else the text form.
fn to_python<'py>(py: Python<'py>, ty: &ScalarType, datum: Datum<'_>) -> PyResult<Bound<'py, PyAny>> {
    use BaseType as B;
    let arena = Arena::new();
    let many = |ty: &ScalarType, items: container::Items<'_>| {
        items.map(|item| to_python(py, ty, item)).collect::<PyResult<Vec<_>>>()
    };
    let is_moment = matches!(ty.base, B::Date | B::Time | B::Timestamp | B::Timestamptz);
    Ok(match datum {
        Datum::Null => py.None().into_bound(py),
        Datum::False => PyBool::new(py, false).to_owned().into_any(),
        Datum::True => PyBool::new(py, true).to_owned().into_any(),
        Datum::Int(value) if !is_moment => value.into_pyobject(py)?.into_any(),
        Datum::UInt(value) => value.into_pyobject(py)?.into_any(),
        Datum::Float4(value) => PyFloat::new(py, f64::from(value)).into_any(),
        Datum::Float8(value) => PyFloat::new(py, value).into_any(),
        Datum::Text(value) => PyString::new(py, value).into_any(),
        Datum::Bytes(value) => PyBytes::new(py, value).into_any(),
        Datum::Array(value) if ty.base == B::Array && value.dimensions().len() < 2 => {
            PyList::new(py, many(element(ty)?, value.items(&arena))?)?.into_any()
        }
        Datum::List(value) => PyList::new(py, many(element(ty)?, value.items(&arena))?)?.into_any(),
        Datum::Map(value) => {
            let dict = PyDict::new(py);
            for (key, item) in value.entries(&arena) {
                dict.set_item(key, to_python(py, element(ty)?, item)?)?;
            }
            dict.into_any()
        }
        Datum::Record(value) => {
            let fields = value.items(&arena).zip(&ty.fields).map(|(item, f)| to_python(py, &f.ty.ty, item));
            PyTuple::new(py, fields.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        other => PyString::new(py, &format::to_text(ty, other)).into_any(),
    })
}

fn row_to_python<'py>(py: Python<'py>, types: &[ScalarType], row: &[u8]) -> PyResult<Bound<'py, PyTuple>> {
    row::check(row, types.len()).map_err(malformed)?;
    let arena = Arena::new();
    let datums = row::RowReader::new(row, &arena).zip(types);
    PyTuple::new(py, datums.map(|(datum, ty)| to_python(py, ty, datum)).collect::<PyResult<Vec<_>>>()?)
}

/// The rows of a flat batch as Python values.
#[pyfunction]
fn decode_rows<'py>(py: Python<'py>, types: &[u8], flat: &[u8]) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let types: Vec<ScalarType> = unpack(types)?;
    let batch = Updates::decode(flat).map_err(malformed)?;
    batch.iter().map(|(row, _, _)| row_to_python(py, &types, row)).collect()
}

/// The updates of a flat batch, rows as Python values.
#[pyfunction]
fn decode_updates<'py>(
    py: Python<'py>,
    types: &[u8],
    flat: &[u8],
) -> PyResult<Vec<(Bound<'py, PyTuple>, u64, i64)>> {
    let types: Vec<ScalarType> = unpack(types)?;
    let batch = Updates::decode(flat).map_err(malformed)?;
    batch.iter().map(|(row, time, diff)| Ok((row_to_python(py, &types, row)?, time, diff))).collect()
}

fn checked_datums<'a>(row: &'a [u8], arena: &'a Arena) -> PyResult<Vec<Datum<'a>>> {
    let (mut datums, mut at) = (Vec::new(), 0);
    while at < row.len() {
        let len = row::try_skip(&row[at..]).map_err(malformed)?;
        row::check(&row[at..at + len], 1).map_err(malformed)?;
        datums.push(row::read_datum(&row[at..], arena).map_err(malformed)?.0);
        at += len;
    }
    Ok(datums)
}

/// The value of an expression (msgpack) over a row, or the error's code and message.
#[pyfunction]
#[pyo3(signature = (expr, row = None))]
fn eval_scalar<'py>(py: Python<'py>, expr: &[u8], row: Option<&[u8]>) -> PyResult<Bound<'py, PyAny>> {
    let expr = unpack::<ScalarExpr>(expr)?.compile().map_err(malformed)?;
    let arena = Arena::new();
    let columns = checked_datums(row.unwrap_or_default(), &arena)?;
    match expr.eval(&columns, &arena) {
        Ok(datum) => Ok(PyBytes::new(py, &datum.to_bytes()).into_any()),
        Err(error) => as_data(py, &error),
    }
}

/// The first added row of a batch for which one of the expressions (msgpack) is false: which, and the row.
#[pyfunction]
fn first_false<'py>(
    py: Python<'py>,
    exprs: Vec<Vec<u8>>,
    flat: &[u8],
) -> PyResult<Option<(usize, Bound<'py, PyBytes>)>> {
    let compiled = exprs
        .iter()
        .map(|expr| unpack::<ScalarExpr>(expr)?.compile().map_err(malformed))
        .collect::<PyResult<Vec<_>>>()?;
    let batch = Updates::decode(flat).map_err(malformed)?;
    let mut arena = Arena::new();
    for (row, _, diff) in batch.iter() {
        if diff <= 0 {
            continue;
        }
        arena.reset();
        let datums = checked_datums(row, &arena)?;
        for (i, expr) in compiled.iter().enumerate() {
            match expr.eval(&datums, &arena) {
                Ok(Datum::False) => return Ok(Some((i, PyBytes::new(py, row)))),
                Ok(_) => {}
                Err(error) => return Err(raised(py, &error)),
            }
        }
    }
    Ok(None)
}

/// The row a plan (msgpack) makes of a row and when it holds; `None` where it is dropped.
#[pyfunction]
fn eval_mfp<'py>(py: Python<'py>, mfp: &[u8], row: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let plan = unpack::<Mfp>(mfp)?.compile().map_err(malformed)?;
    row::check(row, plan.input_arity()).map_err(malformed)?;
    let mut out = Vec::new();
    match plan.evaluate_row_temporal(row, &mut Scratch::new(), &mut out) {
        Ok(None) => Ok(py.None().into_bound(py)),
        Ok(Some(validity)) => {
            Ok((PyBytes::new(py, &out), validity.lower, validity.upper).into_pyobject(py)?.into_any())
        }
        Err(error) => as_data(py, &error),
    }
}

/// An aggregate over argument datums and how often each stands there; `order_by` is msgpack.
#[pyfunction]
fn eval_aggregate<'py>(
    py: Python<'py>,
    func: &str,
    values: Vec<(Bound<'py, PyBytes>, i64)>,
    order_by: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let Some(aggregate) = Aggregate::resolve(func) else {
        return Err(PyValueError::new_err(format!("no aggregate is named \"{func}\"")));
    };
    for (datum, _) in &values {
        row::check(datum.as_bytes(), 1).map_err(malformed)?;
    }
    match aggregate_bytes(aggregate, &values, &unpack::<Vec<ColumnOrder>>(order_by)?) {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes).into_any()),
        Err(error) => as_data(py, &error),
    }
}

fn aggregate_bytes(
    aggregate: Aggregate,
    values: &[(Bound<'_, PyBytes>, i64)],
    order_by: &[ColumnOrder],
) -> Result<Vec<u8>, EvalError> {
    match aggregate {
        Aggregate::Accumulable(sum) => {
            let arena = Arena::new();
            let mut slots = vec![0; sum.slots()];
            for (datum, diff) in values {
                sum.explode(row::read_datum(datum.as_bytes(), &arena)?.0, *diff, &mut slots);
            }
            sum.finish(&slots).map(|datum| datum.to_bytes())
        }
        Aggregate::Hierarchical(extreme) => {
            let present = values.iter().filter(|(_, diff)| *diff > 0);
            Ok(extreme.reduce(present.map(|(datum, _)| datum.as_bytes())).to_vec())
        }
        Aggregate::Basic(basic) => {
            let mut out = Vec::new();
            let counted = values.iter().map(|(datum, diff)| (datum.as_bytes(), (*diff).max(0) as u64));
            basic.finish(counted, order_by, &mut out)?;
            Ok(out)
        }
    }
}

/// The rows of a table function over a row of arguments, with their diffs.
#[pyfunction]
fn eval_table<'py>(py: Python<'py>, func: &str, args: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let Some(table) = TableFunc::resolve(func) else {
        return Err(PyValueError::new_err(format!("no table function is named \"{func}\"")));
    };
    let arena = Arena::new();
    let datums = checked_datums(args, &arena)?;
    let mut rows: Vec<(Vec<u8>, i64)> = Vec::new();
    let evaluated = table.eval(&datums, &arena, &mut |row, diff| {
        rows.push((row::pack(row.iter().copied()), diff));
        Ok(())
    });
    match evaluated {
        Ok(()) => {
            let rows = rows.iter().map(|(row, diff)| (PyBytes::new(py, row), *diff));
            Ok(PyList::new(py, rows.collect::<Vec<_>>())?.into_any())
        }
        Err(error) => as_data(py, &error),
    }
}

/// The names of all scalar, aggregate and table kernels.
#[pyfunction]
fn kernels() -> Vec<String> {
    let mut names: Vec<String> = kernel::names().map(str::to_owned).collect();
    names.extend(aggregate::names());
    names.extend(table::names().map(str::to_owned));
    names.sort();
    names
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(datum_from_text, module)?)?;
    module.add_function(wrap_pyfunction!(datum_to_text, module)?)?;
    module.add_function(wrap_pyfunction!(datum_to_binary, module)?)?;
    module.add_function(wrap_pyfunction!(datum_from_binary, module)?)?;
    module.add_function(wrap_pyfunction!(encode_int, module)?)?;
    module.add_function(wrap_pyfunction!(encode_text, module)?)?;
    module.add_function(wrap_pyfunction!(encode_rows, module)?)?;
    module.add_function(wrap_pyfunction!(decode_rows, module)?)?;
    module.add_function(wrap_pyfunction!(decode_updates, module)?)?;
    module.add_function(wrap_pyfunction!(row_split, module)?)?;
    module.add_function(wrap_pyfunction!(eval_scalar, module)?)?;
    module.add_function(wrap_pyfunction!(first_false, module)?)?;
    module.add_function(wrap_pyfunction!(eval_mfp, module)?)?;
    module.add_function(wrap_pyfunction!(eval_aggregate, module)?)?;
    module.add_function(wrap_pyfunction!(eval_table, module)?)?;
    module.add_function(wrap_pyfunction!(kernels, module)?)
}
