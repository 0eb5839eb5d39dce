//! Values of arguments, and what is said of those that cannot be.

use super::training::Auto;
use frostline::data::Preprocess;
use frostline::fit::Every;
use frostline::formats::MatchBy;
use std::time::Duration;

pub(super) fn preprocess(name: &str) -> Result<String, String> {
    match name {
        "auto" => Ok(name.to_owned()),
        name => name.parse::<Preprocess>().map(|p| p.to_string()).map_err(|error| error.to_string()),
    }
}

pub(super) fn match_by(name: &str) -> Result<MatchBy, String> {
    match name {
        "name" => Ok(MatchBy::Name),
        "order" => Ok(MatchBy::Order),
        _ => Err("give name or order".to_owned()),
    }
}

/// Where a search ends by itself.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    Time(Duration),
    Trainings(usize),
}

pub(super) fn budget(text: &str) -> Result<Budget, String> {
    let time = || humantime::parse_duration(text).ok().map(Budget::Time);
    let budget = text.parse().ok().map(Budget::Trainings).or_else(time);
    budget.ok_or_else(|| "give a time (90s, 10m, 2h) or a number of trainings (40)".to_owned())
}

/// How long another process is waited for.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time >= Duration::from_millis(100));
    time.ok_or_else(|| "give a time from 100ms: 30s, 5m".to_owned())
}

/// A time above 0.
#[cfg(feature = "serve")]
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| "give a time: 30s, 2m".to_owned())
}

pub(super) fn every(text: &str) -> Result<Every, String> {
    let steps = text.parse().ok().filter(|steps| *steps > 0).map(Every::Steps);
    let every = steps.or_else(|| humantime::parse_duration(text).ok().map(Every::Time));
    every.ok_or_else(|| "give a time (30s, 5m) or a number of steps (100)".to_owned())
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number: &usize| *number > 0);
    number.ok_or_else(|| "give a whole number from 1".to_owned())
}

fn number(text: &str, fits: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite() && fits(*number));
    number.ok_or_else(|| format!("give {expected}"))
}

pub(super) fn positive(text: &str) -> Result<f32, String> {
    number(text, |number| number > 0.0, "a number above 0")
}

/// A learning rate, or `auto`.
pub(super) fn rate(text: &str) -> Result<Auto<f32>, String> {
    match text {
        "auto" => Ok(Auto::Auto),
        text => positive(text).map(Auto::To).map_err(|error| format!("{error}, or auto")),
    }
}

pub(super) fn not_negative(text: &str) -> Result<f32, String> {
    number(text, |number| number >= 0.0, "a number from 0")
}

pub(super) fn below_one(text: &str) -> Result<f32, String> {
    number(text, |number| (0.0..1.0).contains(&number), "a number from 0 to below 1")
}

/// From 0 to 1.
pub(super) fn threshold(text: &str) -> Result<f32, String> {
    number(text, |number| (0.0..=1.0).contains(&number), "a score from 0 to 1")
}

/// Above 0 and below 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "give a share above 0 and below 1, e.g. 0.05".to_owned())
}

/// A share, or a folder.
pub(super) fn validation(text: &str) -> Result<String, String> {
    match text.parse::<f64>() {
        Ok(share) if !(0.0..1.0).contains(&share) => {
            Err("give a share from 0 to below 1, e.g. --val 0.2, or a folder".to_owned())
        }
        Err(_) if is_address(text) => Err(
            "give a folder of this machine, or a share; in a store a folder `val` beside `train` in DATA is the validation part"
                .to_owned(),
        ),
        _ => Ok(text.to_owned()),
    }
}

/// Whether a path is written as the address of a store or a server.
pub(crate) fn is_address(text: &str) -> bool {
    text.contains("://")
}

/// `2GiB`, `500MB`, `1000`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("b", 1),
        ("", 1),
    ];
    let lower = text.trim().to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = UNITS.iter().find(|(name, _)| *name == &lower[digits.len()..]);
    let number = digits.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    match (number, unit) {
        (Some(number), Some((_, unit))) => Ok((number * *unit as f64) as u64),
        _ => Err(format!("`{text}` is no size: write e.g. 2GiB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("1.5 MB"), Ok(1_500_000));
        assert_eq!(size("77"), Ok(77));
        assert!(size("2 loaves").is_err());
    }
}
