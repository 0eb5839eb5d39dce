#![no_main]

frostline_fuzz::fuzz!("h5");
