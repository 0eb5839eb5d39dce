//! `x + 2`, `1 - x`, `x * 2`, `x / 2`: a value and a number. In Keras these are no layers but operations of the graph
//! (`keras.ops.add`, …), written wherever code computes with a tensor; the hard swish of MobileNetV3 has them.

use super::{Config, LayerKind, number};
use crate::ops::{Affine, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Add,
    Subtract,
    Multiply,
    Divide,
    TrueDivide,
}

/// An operation with one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Arithmetic {
    sign: Sign,
    /// The number.
    operand: f32,
    /// Whether the number stands before the tensor.
    operand_first: bool,
}

impl Arithmetic {
    /// Keras's operations.
    pub const CLASSES: &[&'static str] = &["Add", "Divide", "Multiply", "Subtract", "TrueDivide"];

    /// Reads `operand` and `operand_first`, which the format puts there. `None` where the class is no arithmetic, or
    /// there is no number.
    pub fn from_config(class_name: &str, config: &Config<'_>) -> Option<Result<Self>> {
        let sign = match class_name {
            "Add" => Sign::Add,
            "Subtract" => Sign::Subtract,
            "Multiply" => Sign::Multiply,
            "Divide" => Sign::Divide,
            "TrueDivide" => Sign::TrueDivide,
            _ => return None,
        };
        config.get("operand")?;
        Some(Self::read(sign, config))
    }

    fn read(sign: Sign, config: &Config<'_>) -> Result<Self> {
        let operand = config.f32_or("operand", 0.0)?;
        let operand_first = config.bool_or("operand_first", false)?;
        let divides = matches!(sign, Sign::Divide | Sign::TrueDivide);
        if divides && (operand_first || operand == 0.0) {
            return Err(config.error("of divisions only those by a number that is not 0 can be run"));
        }
        Ok(Self { sign, operand, operand_first })
    }
}

impl LayerKind for Arithmetic {
    fn class_name(&self) -> &'static str {
        match self.sign {
            Sign::Add => "Add",
            Sign::Subtract => "Subtract",
            Sign::Multiply => "Multiply",
            Sign::Divide => "Divide",
            Sign::TrueDivide => "TrueDivide",
        }
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([("operand".to_owned(), number(self.operand))]);
        if self.operand_first {
            config.insert("operand_first".to_owned(), json!(true));
        }
        config
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let (scale, offset) = self.scale_and_offset();
        lowering.push(Affine { scale: vec![scale], offset: vec![offset] }, inputs, &[])
    }
}

impl Arithmetic {
    /// `y = x · scale + offset`
    pub fn scale_and_offset(&self) -> (f32, f32) {
        match (self.sign, self.operand_first) {
            (Sign::Add, _) => (1.0, self.operand),
            (Sign::Subtract, false) => (1.0, -self.operand),
            (Sign::Subtract, true) => (-1.0, self.operand),
            (Sign::Multiply, _) => (self.operand, 0.0),
            (Sign::Divide | Sign::TrueDivide, _) => (1.0 / self.operand, 0.0),
        }
    }

    /// The arguments of the call in Keras.
    pub fn arguments(&self, tensor: Value) -> Vec<Value> {
        let operand = number(self.operand);
        if self.operand_first { vec![operand, tensor] } else { vec![tensor, operand] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Kind, read, read_kind};

    #[test]
    fn a_number_before_or_behind_a_tensor_is_a_scale_and_an_offset() {
        let found = |class: &str, config: Value| {
            let kind = read(class, config.clone()).expect("valid");
            assert_eq!((kind.class_name(), Value::Object(kind.config())), (class, config));
            let Kind::Arithmetic(operation) = kind else { panic!("another kind") };
            operation.scale_and_offset()
        };
        assert_eq!(found("Add", json!({"operand": 3.0})), (1.0, 3.0));
        assert_eq!(found("Subtract", json!({"operand": 3.0})), (1.0, -3.0));
        assert_eq!(found("Subtract", json!({"operand": 3.0, "operand_first": true})), (-1.0, 3.0));
        assert_eq!(found("Multiply", json!({"operand": 3.0})), (3.0, 0.0));
        assert_eq!(found("TrueDivide", json!({"operand": 4.0})), (0.25, 0.0));
        assert!(read("TrueDivide", json!({"operand": 0.0})).is_err());
        assert!(read("Divide", json!({"operand": 2.0, "operand_first": true})).is_err());
        assert!(read_kind("Divide", &Config::new("layer", &Map::new())).is_none());
    }
}
