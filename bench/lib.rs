//! What `bench/` measures of the library is in this package's examples.
