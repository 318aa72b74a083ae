//! The extension module `headwater.native._native`: the only crate that knows Python.
//!
//! Each file is what Python sees of one crate, and registers its own classes and functions.

mod compute;
mod consensus;
mod front;
mod keys;
mod link;
mod persist;
mod storage;
mod types;

use mimalloc::MiMalloc;
use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The compiled module behind `headwater.native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    types::register(module)?;
    keys::register(module)?;
    persist::register(module)?;
    consensus::register(module)?;
    compute::register(module)?;
    storage::register(module)?;
    link::register(module)?;
    front::register(module)
}
