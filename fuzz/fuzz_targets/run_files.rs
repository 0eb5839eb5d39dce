#![no_main]

frostline_fuzz::fuzz!("run_files");
