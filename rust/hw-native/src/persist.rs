//! What Python sees of `hw-persist`.

use hw_persist::{
    Encoded, Half, MergeInput, PartError, PartFilter, RowRange, decode_part_filtered, encode_part,
    merge_parts,
};
use hw_types::flat::Updates;
use hw_types::relation::RelationDesc;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

fn malformed(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn half(errors: bool) -> Half {
    if errors { Half::Errors } else { Half::Ok }
}

/// A part for Python: its bytes, and what is known of it as msgpack.
type Part<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

fn part_for<'py>(py: Python<'py>, part: &Encoded) -> PyResult<Part<'py>> {
    let info = rmp_serde::to_vec_named(&part.info).map_err(malformed)?;
    Ok((PyBytes::new(py, &part.bytes), PyBytes::new(py, &info)))
}

/// Writes a flat batch as a Parquet part, sorted and consolidated; `desc` is msgpack.
#[pyfunction]
fn persist_encode<'py>(py: Python<'py>, desc: &[u8], errors: bool, flat: &[u8]) -> PyResult<Part<'py>> {
    let desc: RelationDesc = rmp_serde::from_slice(desc).map_err(malformed)?;
    let part =
        py.detach(|| -> Result<_, PartError> { encode_part(&desc, half(errors), &Updates::decode(flat)?) });
    part_for(py, &part.map_err(malformed)?)
}

/// Reads what counts of a part as a flat batch; see `headwater.persist.parts.PartRef`.
#[pyfunction]
#[pyo3(signature = (desc, encoding, data, stamp, lower, upper, as_of))]
#[allow(clippy::too_many_arguments)]
fn persist_decode<'py>(
    py: Python<'py>,
    desc: &[u8],
    encoding: &str,
    data: &[u8],
    stamp: Option<u64>,
    lower: u64,
    upper: Option<u64>,
    as_of: Option<u64>,
) -> PyResult<Bound<'py, PyBytes>> {
    let desc: RelationDesc = rmp_serde::from_slice(desc).map_err(malformed)?;
    let filter = PartFilter { stamp, lower, upper, as_of };
    let flat = py.detach(|| -> Result<_, PartError> {
        Ok(decode_part_filtered(&desc, encoding, data, &filter)?.encode()?)
    });
    Ok(PyBytes::new(py, &flat.map_err(malformed)?))
}

/// Merges parts `(encoding, data, stamp)` into few of about `target_bytes`, times advanced to `since`;
/// only rows from `low` on and before `high` count.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn persist_merge<'py>(
    py: Python<'py>,
    desc: &[u8],
    errors: bool,
    inputs: Vec<(String, Bound<'py, PyBytes>, Option<u64>)>,
    low: Option<&[u8]>,
    high: Option<&[u8]>,
    since: u64,
    target_bytes: usize,
) -> PyResult<Vec<Part<'py>>> {
    let desc: RelationDesc = rmp_serde::from_slice(desc).map_err(malformed)?;
    let inputs: Vec<MergeInput<'_>> = inputs
        .iter()
        .map(|(encoding, data, stamp)| MergeInput { encoding, bytes: data.as_bytes(), stamp: *stamp })
        .collect();
    let range = RowRange { low, high };
    let merged = py.detach(|| merge_parts(&desc, half(errors), &inputs, range, since, target_bytes));
    merged.map_err(malformed)?.iter().map(|part| part_for(py, part)).collect()
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(persist_encode, module)?)?;
    module.add_function(wrap_pyfunction!(persist_decode, module)?)?;
    module.add_function(wrap_pyfunction!(persist_merge, module)?)
}
