//! What a layer of somebody else's class is, where its user can say it: nothing, an activation, or one operation of `keras.ops`.

use frostline_graph::layers::{CALL, Config, Kind, NamedActivation, Operation, read_kind};
use frostline_graph::{Error, Result};
use serde_json::{Map, Value, json};
use std::str::FromStr;

/// A class, or one layer, and what it is: `Swish=silu`, `L2=normalize(axis=-1)`, `Augment=identity`.
#[derive(Clone, Debug)]
pub struct Custom {
    /// The class's name in the file, without its package, or the layer's.
    name: String,
    /// What it is.
    kind: Kind,
}

impl Custom {
    /// What a layer is, by its own name or its class, which may be registered by a package: `my>Swish`.
    pub(crate) fn of<'a>(all: &'a [Self], layer: &str, class: &str) -> Option<&'a Kind> {
        let class = class.rsplit('>').next().unwrap_or(class);
        all.iter().find(|custom| [layer, class].contains(&custom.name.as_str())).map(|custom| &custom.kind)
    }
}

impl FromStr for Custom {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, what) = text.split_once('=').ok_or_else(|| wrong(text, "there is no `=`"))?;
        let (operation, arguments) = match what.split_once('(') {
            Some((operation, rest)) => {
                let inner =
                    rest.trim_end().strip_suffix(')').ok_or_else(|| wrong(text, "there is no `)`"))?;
                (operation.trim(), arguments(inner))
            }
            None => (what.trim(), Vec::new()),
        };
        let named = if operation == "identity" { "linear" } else { operation };
        let kind = match (NamedActivation::named(named), arguments.is_empty()) {
            (Some(activation), true) => {
                kind("Activation", &Map::from_iter([("activation".to_owned(), json!(activation.name()))]))
            }
            _ => operation_of(text, operation, arguments)?,
        };
        let kind = kind.ok_or_else(|| wrong(text, "it cannot be read"))?;
        Ok(Self { name: name.trim().to_owned(), kind: kind? })
    }
}

fn kind(class: &str, config: &Map<String, Value>) -> Option<Result<Kind>> {
    read_kind(class, &Config::new("custom", config))
}

/// `normalize(axis=-1)`: an operation by the name of its function or its class; what has no name is given behind the tensor.
fn operation_of(
    text: &str,
    name: &str,
    arguments: Vec<(Option<&str>, Value)>,
) -> Result<Option<Result<Kind>>> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let class = Operation::all().map(|(_, class)| class).find(|class| plain(class) == plain(name));
    let class = class.ok_or_else(|| {
        wrong(text, &format!("`{name}` is neither an activation nor an operation of keras.ops"))
    })?;
    let mut config = Map::new();
    let mut given = vec![json!({"tensor": 0})];
    for (name, value) in arguments {
        match name {
            Some(name) => drop(config.insert(name.to_owned(), value)),
            None => given.push(value),
        }
    }
    config.insert(CALL.to_owned(), json!({"args": given, "kwargs": {}}));
    Ok(kind(class, &config))
}

/// Between commas outside of brackets: values as JSON, or texts, with a name or without.
fn arguments(text: &str) -> Vec<(Option<&str>, Value)> {
    let mut depth = 0i32;
    let parts = text.split(|letter| {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        letter == ',' && depth == 0
    });
    let value = |text: &str| serde_json::from_str(text.trim()).unwrap_or_else(|_| json!(text.trim()));
    let read = |part| match str::split_once(part, '=') {
        Some((name, text)) => (Some(name.trim()), value(text)),
        None => (None, value(part)),
    };
    parts.filter(|part| !part.trim().is_empty()).map(read).collect()
}

fn wrong(text: &str, what: &str) -> Error {
    Error::setting(format!(
        "cannot read `{text}`: {what}\nhelp: give NAME=identity, an activation or an operation of keras.ops, as `L2=normalize(axis=-1)`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_what_their_user_says() {
        let class_of = |text: &str| text.parse::<Custom>().map(|custom| custom.kind.class_name());
        for (text, class) in [
            ("Augment=identity", "Activation"),
            ("Swish=silu", "Activation"),
            ("L2=normalize(axis=-1)", "Normalize"),
            ("Pool=mean(axis=[1, 2], keepdims=true)", "Mean"),
            ("Scale=multiply(0.5)", "Multiply"),
            ("Clip=leaky_relu(negative_slope=0.3)", "LeakyRelu"),
        ] {
            assert_eq!(class_of(text).ok(), Some(class), "{text}");
        }
        let pool: Custom = "Pool=mean(axis=[1, 2], keepdims=true)".parse().expect("valid");
        assert_eq!(pool.kind.output_shape(&[vec![4, 5, 3]]), Ok(vec![1, 1, 3]));
        for text in ["Swish", "Swish=unheard_of", "L2=normalize(axis=-1", "=silu("] {
            let message = text.parse::<Custom>().expect_err(text).to_string();
            assert!(message.contains("help:"), "{message}");
        }
    }

    #[test]
    fn a_class_is_found_with_or_without_its_package() {
        let all: Vec<Custom> =
            vec!["Swish=silu".parse().expect("valid"), "gate=relu".parse().expect("valid")];
        assert!(
            Custom::of(&all, "layer", "my>Swish").is_some() && Custom::of(&all, "layer", "Swish").is_some()
        );
        assert!(
            Custom::of(&all, "gate", "Lambda").is_some() && Custom::of(&all, "layer", "Lambda").is_none()
        );
    }
}
