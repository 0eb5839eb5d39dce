#![no_main]

frostline_fuzz::fuzz!("config_json");
