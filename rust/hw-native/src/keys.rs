//! What Python sees of a table's keys.

use hw_types::flat::Updates;
use hw_types::keys::{self, Changes, Key, Violation};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

fn batch(flat: &[u8]) -> PyResult<Updates> {
    Updates::decode(flat).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The number of a violated key or the column that is NULL, and the row.
type Found<'py> = Option<(usize, Bound<'py, PyBytes>)>;

fn found<'py>(py: Python<'py>, batch: &Updates, result: Result<(), Violation>) -> Found<'py> {
    result.err().map(|Violation { key, update }| (key, PyBytes::new(py, batch.row(update))))
}

/// What a transaction would change of a table's keys before it commits.
#[pyclass]
#[derive(Default)]
struct KeyChanges(Changes);

#[pymethods]
impl KeyChanges {
    #[new]
    fn new() -> Self {
        KeyChanges::default()
    }
}

/// Which keys of a table are taken; see `hw_types::keys`.
#[pyclass]
struct TableKeys(keys::TableKeys);

#[pymethods]
impl TableKeys {
    #[new]
    fn new(keys: Vec<(Vec<usize>, bool)>) -> Self {
        let key = |(columns, nulls_distinct)| Key { columns, nulls_distinct };
        TableKeys(keys::TableKeys::new(keys.into_iter().map(key).collect()))
    }
    fn __len__(&self) -> usize {
        self.0.len()
    }
    fn load(&mut self, py: Python<'_>, flat: &[u8]) -> PyResult<()> {
        let batch = batch(flat)?;
        py.detach(|| self.0.load(&batch));
        Ok(())
    }
    fn loaded(&mut self, py: Python<'_>) {
        py.detach(|| self.0.loaded());
    }
    fn admit<'py>(&mut self, py: Python<'py>, flat: &[u8]) -> PyResult<Found<'py>> {
        let batch = batch(flat)?;
        let result = py.detach(|| self.0.admit(&batch));
        Ok(found(py, &batch, result))
    }
    fn admit_pending<'py>(
        &self,
        py: Python<'py>,
        flat: &[u8],
        pending: &mut KeyChanges,
    ) -> PyResult<Found<'py>> {
        let batch = batch(flat)?;
        let result = self.0.admit_pending(&batch, &mut pending.0);
        Ok(found(py, &batch, result))
    }
    fn retract(&mut self, py: Python<'_>, flat: &[u8]) -> PyResult<()> {
        let batch = batch(flat)?;
        py.detach(|| self.0.retract(&batch));
        Ok(())
    }
    #[pyo3(signature = (flat, arbiter = None, pending = None))]
    fn free<'py>(
        &self,
        py: Python<'py>,
        flat: &[u8],
        arbiter: Option<usize>,
        pending: Option<&KeyChanges>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let free = self.0.free(&batch(flat)?, arbiter, pending.map(|pending| &pending.0));
        let bytes = free.encode().map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, &bytes))
    }
}

/// The first added row of a batch that has a NULL in one of `columns`: the column, and the row.
#[pyfunction]
fn first_null<'py>(py: Python<'py>, flat: &[u8], columns: Vec<usize>) -> PyResult<Found<'py>> {
    let batch = batch(flat)?;
    let found = keys::first_null(&batch, &columns);
    Ok(found.map(|(update, column)| (column, PyBytes::new(py, batch.row(update)))))
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<KeyChanges>()?;
    module.add_class::<TableKeys>()?;
    module.add_function(wrap_pyfunction!(first_null, module)?)
}
