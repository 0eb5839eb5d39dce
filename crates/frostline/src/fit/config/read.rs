//! A configuration as a file: TOML, or the `run.json` of a run.

use crate::fit::config::defaults::filled;
use crate::fit::{GradualConfig, SolveConfig, TrainConfig};
use frostline_graph::{DType, Error, Result};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

impl TrainConfig {
    /// Reads a TOML file, or the `recipe` of a run's `run.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, source))?;
        let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let read = match is_json {
            true => Self::of_run(&text).map_err(|error| error.to_string()),
            // once as it is, for errors that name the line, and once with the defaults
            false => toml::from_str::<Self>(&text)
                .and_then(|_| filled(toml::from_str(&text)?).try_into())
                .map_err(|error| error.to_string()),
        };
        let mut recipe = read.map_err(|error| {
            let help = match is_json {
                true => "give the run.json of a run, or a recipe in TOML",
                false => "a recipe has [[stage]] tables with name, epochs, lr and unfreeze",
            };
            Error::format(path, format!("{}\nhelp: {help}", error.trim_end()))
        })?;
        recipe.name_stages();
        if !recipe.has_stages() && recipe.solve.is_none() {
            return Err(Error::format(
                path,
                "the recipe has no stage\nhelp: add a [[stage]] table, or [solve]",
            ));
        }
        recipe.check()?;
        Ok(recipe)
    }

    fn of_run(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Run {
            recipe: TrainConfig,
        }
        Ok(serde_json::from_str::<Run>(text)?.recipe)
    }

    pub(super) fn name_stages(&mut self) {
        let only = self.stage.len() == 1;
        for (index, stage) in self.stage.iter_mut().enumerate().filter(|(_, stage)| stage.name.is_empty()) {
            stage.name = if only { "train".to_owned() } else { format!("stage {}", index + 1) };
        }
    }
}

pub(super) fn features<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<DType>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| DType::of_features(&text)).transpose().map_err(serde::de::Error::custom)
}

/// A table, or `true` for one with every default.
struct TableOrTrue<T> {
    name: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for TableOrTrue<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a table [{}], true or false", self.name)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> std::result::Result<Self::Value, E> {
        Ok(value.then(T::default))
    }

    fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

pub(super) fn gradual<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<GradualConfig>, D::Error> {
    deserializer.deserialize_any(TableOrTrue { name: "gradual", of: PhantomData })
}

pub(super) fn solve<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<SolveConfig>, D::Error> {
    deserializer.deserialize_any(TableOrTrue { name: "solve", of: PhantomData })
}
