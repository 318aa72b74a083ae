//! What Python sees of `hw-storage`.

use hw_storage::generator::{self, Generator, Options, Outputs};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Mutex;

/// A load generator; `options` is a msgpack `LoadGeneratorSource`.
#[pyclass(frozen)]
struct LoadGenerator(Mutex<Box<dyn Generator>>);

#[pymethods]
impl LoadGenerator {
    #[new]
    fn new(options: &[u8]) -> PyResult<Self> {
        let options: Options =
            rmp_serde::from_slice(options).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let generator =
            generator::generator(&options).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(LoadGenerator(Mutex::new(generator)))
    }

    /// Makes one step of a round: `([(output, flat updates)], whether there is another step)`.
    fn step<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        step: u64,
        now_micros: i64,
    ) -> PyResult<(Vec<(&'static str, Bound<'py, PyBytes>)>, bool)> {
        let (made, more) = py.detach(|| {
            let mut generator = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut outputs = Outputs::default();
            let more = generator.step(offset, step, now_micros, &mut outputs);
            let made: Result<Vec<_>, _> = outputs
                .0
                .iter()
                .map(|(name, updates)| updates.consolidate().encode().map(|bytes| (*name, bytes)))
                .collect();
            (made, more)
        });
        let made = made.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let made = made.into_iter().map(|(name, bytes)| (name, PyBytes::new(py, &bytes)));
        Ok((made.collect(), more))
    }
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LoadGenerator>()
}
