//! What Python sees of `hw-storage`.

use pyo3::prelude::*;

/// Adds this module's classes and functions to the extension.
pub fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
