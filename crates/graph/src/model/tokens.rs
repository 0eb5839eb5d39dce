//! How the tokens of a transformer, `[tokens, channels]`, become one vector: by the class token, where the model itself reads
//! that, else by their mean.

use super::graph::inputs_of;
use super::{Body, Graph, Model};
use crate::Shape;
use crate::layers::{CALL, Config, Kind, OneDimensional, Operation, ThreeDimensional, parse_head};
use crate::ops::{Op, PoolKind};
use crate::{Error, Result};
use serde_json::{Map, json};

impl Graph {
    /// Whether the model, or one in it, goes on from the first of several tokens alone.
    pub fn reads_class_token(&self) -> bool {
        self.takes_first_token(&self.stand_in_shapes())
    }

    fn takes_first_token(&self, inputs: &[Shape]) -> bool {
        let Ok(shapes) = self.known_shapes("", inputs) else { return false };
        self.calls.iter().any(|call| {
            let Some(given) = inputs_of(call, &shapes) else { return false };
            match &self.layers[call.layer].body {
                Body::Kind(Kind::Operation(operation)) => is_first_token(operation, &given),
                Body::Model(inner) => inner.takes_first_token(&given),
                _ => false,
            }
        })
    }
}

fn is_first_token(operation: &Operation, inputs: &[Shape]) -> bool {
    let [[_, channels]] = inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] else { return false };
    let Ok(program) = operation.program(inputs) else { return false };
    let takes_first = |op: &Op| matches!(op, Op::Take(take) if take.axis == 0 && *take.places == [0]);
    program.outputs.iter().any(|value| program.shape(*value).as_slice() == [*channels])
        && program.nodes.iter().any(|node| takes_first(&node.op))
}

impl Model {
    /// The layer that makes one vector of this model's tokens.
    ///
    /// # Errors
    ///
    /// None that a caller can cause: the layer is one of frostline's own.
    pub fn token_pooling(&self) -> Result<Kind> {
        if !self.info.class_token {
            return OneDimensional::pooling(PoolKind::Average).map(Kind::from);
        }
        let missing = || Error::surgery("the class token is no layer");
        let all = json!({"class_name": "__slice__", "config": {"start": null, "stop": null, "step": null}});
        let call = json!({"args": [{"tensor": 0}, [all, 0]], "kwargs": {}});
        let config = Map::from_iter([(CALL.to_owned(), call)]);
        Operation::from_config("GetItem", &Config::new("class_token", &config))
            .ok_or_else(missing)?
            .map(Kind::from)
    }

    /// The layer that makes one vector of an output of this shape: none of what is one already.
    ///
    /// # Errors
    ///
    /// A shape that is neither a vector, nor tokens, nor an image, nor a volume.
    pub fn pooling_of(&self, shape: &Shape) -> Result<Option<Kind>> {
        match shape.as_slice() {
            [_] => Ok(None),
            [_, _] => self.token_pooling().map(Some),
            [_, _, _] => Ok(parse_head("gap")?.into_iter().next()),
            [_, _, _, _] => ThreeDimensional::pooling(PoolKind::Average).map(|kind| Some(kind.into())),
            other => Err(Error::surgery(format!(
                "an output of {} axes is neither a vector, nor tokens, nor an image, nor a volume\nhelp: keep another layer with the setting `keep`",
                other.len()
            ))),
        }
    }
}
