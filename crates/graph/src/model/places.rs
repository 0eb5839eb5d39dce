//! Layers whose outputs have places in the image: pixels, or tokens that form a grid.

use super::suggest::which_layer;
use super::{Body, Graph, full_path, is_within};
use crate::layers::Kind;
use crate::{Error, Result, Shape};

/// At most so many tokens stand before those of the image: a class token, one for distillation, registers.
const MOST_BEFORE: usize = 8;

/// How the places of an output lie over the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Places down and across.
    pub extents: [usize; 2],
    /// How many tokens stand before the first place: they are no part of the image.
    pub before: usize,
}

impl Graph {
    /// The path of the layer or nested model that is named so, by its path or by the end of it.
    ///
    /// # Errors
    ///
    /// There is none, or there are several.
    pub fn find_layer(&self, name: &str) -> Result<String> {
        let leaves = self.leaves();
        let leaves: Vec<&str> = leaves.iter().map(|(path, _)| path.as_str()).collect();
        let path = full_path(name, &leaves);
        match leaves.iter().any(|leaf| is_within(leaf, path)) {
            true => Ok(path.to_owned()),
            false => Err(Error::surgery(format!(
                "the model `{}` has no layer `{name}`\nhelp: {}",
                self.name,
                which_layer(name, &leaves)
            ))),
        }
    }

    /// How the places of a layer's output of this shape lie over images, where the model's inputs have these shapes. Tokens form
    /// a grid where some layer's output is an image of as many pixels, but for tokens that stand before them.
    ///
    /// # Errors
    ///
    /// The output has no places, or the channels are not its last axis.
    pub fn grid_of(&self, path: &str, shape: &Shape, inputs: &[Shape]) -> Result<Grid> {
        let refused = |why: String| {
            let known = self.layers_with_places(inputs).unwrap_or_default();
            let help = match known.last() {
                Some(layer) => format!("name a layer whose output has a height and a width, as `{layer}`"),
                None => "no layer of this model has an output with a height and a width".to_owned(),
            };
            Err(Error::surgery(format!("`{path}` {why}\nhelp: {help}")))
        };
        if self.turned_paths().contains(path) {
            return refused("has an output whose channels are not its last axis".to_owned());
        }
        match (shape.as_slice(), self.grid(shape, inputs)?) {
            (_, Some(grid)) => Ok(grid),
            ([_, _], None) => refused(format!("has tokens of {shape:?}, which form no grid over the image")),
            (_, None) => refused(format!("has an output of {shape:?}, without places in the image")),
        }
    }

    fn grid(&self, shape: &Shape, inputs: &[Shape]) -> Result<Option<Grid>> {
        Ok(match shape.as_slice() {
            [height, width, _] if height * width > 1 => Some(Grid { extents: [*height, *width], before: 0 }),
            [tokens, _] if *tokens > 1 => {
                let shapes = self.leaf_shapes(inputs)?;
                let grid = |shape: &Shape| match shape.as_slice() {
                    [height, width, _] if height * width > 1 => {
                        let before = tokens.checked_sub(height * width)?;
                        (before <= MOST_BEFORE).then_some(Grid { extents: [*height, *width], before })
                    }
                    _ => None,
                };
                shapes.values().flatten().filter_map(grid).min_by_key(|grid| grid.before)
            }
            _ => None,
        })
    }

    /// The layers whose output says what is where in the image, from the lowest to the highest: images, and of tokens in a grid
    /// those that are normalised or summed up. Pooling layers are none, since what they make is coarser than what they read;
    /// nor are layers that are called more than once.
    ///
    /// # Errors
    ///
    /// The shapes do not fit.
    pub fn layers_with_places(&self, inputs: &[Shape]) -> Result<Vec<String>> {
        let shapes = self.leaf_shapes(inputs)?;
        let turned = self.turned_paths();
        let mut found = Vec::new();
        for (path, layer) in self.leaves() {
            let (Body::Kind(kind), Some(Some(shape))) = (&layer.body, shapes.get(&path)) else { continue };
            let is_wanted = match (shape.len(), kind) {
                (_, Kind::InputLayer(_) | Kind::Pooling2D(_) | Kind::GlobalPooling2D(_)) => false,
                (3, _) => true,
                (2, kind) => kind.normalizes() || matches!(kind, Kind::Merge(_)),
                _ => false,
            };
            if is_wanted
                && !turned.contains(&path)
                && self.is_called_once(&path)
                && self.grid(shape, inputs)?.is_some()
            {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn is_called_once(&self, path: &str) -> bool {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(index) = self.layers.iter().position(|layer| layer.name == name) else { return false };
        let once = self.calls.iter().filter(|call| call.layer == index).count() == 1;
        once && match (rest, &self.layers[index].body) {
            (Some(rest), Body::Model(inner)) => inner.is_called_once(rest),
            _ => true,
        }
    }

    /// Leaves out the layers above the output that only move values about ([`Kind::Flatten`], [`Kind::Reshape`],
    /// [`Kind::Dropout`]), and all outputs but the first: what the last activation gives is then what the model returns.
    pub fn end_with_last_activation(&mut self) {
        self.outputs.truncate(1);
        while let Some(output) = self.outputs.first().copied() {
            let call = &self.calls[output.call];
            let moves = matches!(
                &self.layers[call.layer].body,
                Body::Kind(Kind::Flatten(_) | Kind::Reshape(_) | Kind::Dropout(_))
            );
            match call.inputs.first() {
                Some(below) if moves => self.outputs = vec![*below],
                _ => break,
            }
        }
        self.prune();
    }
}
