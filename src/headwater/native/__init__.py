"""The seam to Rust: the only package that imports the extension.

In: bytes (plans and types as MessagePack, rows, flat batches). Out: bytes, plain Python values, and
errors of ``headwater.errors``. Modules: ``loader`` (imports the compiled module, and nothing else
does), ``abc`` (what others may rely on, as protocols that tests can replace), ``raised``
(which class an error of the extension becomes), ``_native.pyi`` (the compiled module's types, a
section for each file of ``rust/hw-native/src``).
"""
