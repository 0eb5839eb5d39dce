#![no_main]

frostline_fuzz::fuzz!("parquet");
