//! Scalar functions, aggregates, table functions and their interpreter over row bytes.
