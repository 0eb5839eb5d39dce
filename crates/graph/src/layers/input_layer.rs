//! `InputLayer`: where a model's data comes in.

use super::{Config, LayerKind};
use crate::ops::{Lowering, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct InputLayer {
    /// `batch_shape` without the batch; `None` where any extent will do.
    pub extents: Vec<Option<usize>>,
}

impl InputLayer {
    /// Reads `batch_shape`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let shape = config.get("batch_shape").and_then(Value::as_array);
        let shape = shape.ok_or_else(|| config.error("its config has no `batch_shape`"))?;
        let extent = |value: &Value| match value {
            Value::Null => Ok(None),
            _ => match value.as_u64() {
                Some(extent) if extent > 0 && extent < 1 << 24 => Ok(Some(extent as usize)),
                _ => Err(config.error(format!("`batch_shape` holds {value}"))),
            },
        };
        let extents = shape.iter().skip(1).map(extent).collect::<Result<_>>()?;
        config.ignore(&["sparse", "ragged", "optional"]);
        Ok(Self { extents })
    }
}

impl LayerKind for InputLayer {
    fn class_name(&self) -> &'static str {
        "InputLayer"
    }

    fn config(&self) -> Map<String, Value> {
        let mut shape = vec![Value::Null];
        shape.extend(self.extents.iter().map(|extent| json!(extent)));
        Map::from_iter([("batch_shape".to_owned(), Value::Array(shape))])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        inputs.first().cloned().ok_or_else(|| "an input layer is given its shape".to_owned())
    }

    fn lower(&self, _: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        inputs.first().copied().ok_or_else(|| Error::surgery("an input layer that is no input".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Kind, read};

    #[test]
    fn extents_may_be_open_but_not_absurd() {
        let kind = read("InputLayer", json!({"batch_shape": [null, 32, null, 3]})).expect("valid");
        let Kind::InputLayer(input) = &kind else { panic!("another kind") };
        assert_eq!(input.extents, [Some(32), None, Some(3)]);
        assert_eq!(kind.config()["batch_shape"], json!([null, 32, null, 3]));
        for shape in
            [json!([null, 0]), json!([null, -3]), json!([null, 99_999_999]), json!([null, "x"]), json!(3)]
        {
            assert!(read("InputLayer", json!({"batch_shape": shape})).is_err());
        }
    }
}
