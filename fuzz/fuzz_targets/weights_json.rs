#![no_main]

frostline_fuzz::fuzz!("weights_json");
