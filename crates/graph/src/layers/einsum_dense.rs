//! `EinsumDense`: an `einsum` of the input and a kernel, `"abc,cd->abd"`, with a bias and an activation.
//! Keras: `keras.layers.EinsumDense`.

use super::{Config, Initializer, LayerKind, NamedActivation, WeightSpec};
use crate::ops::{self, Lowering, Permute, Reshape, Role, ValueId};
use crate::{Error, Extents, Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct EinsumDense {
    /// As in the file.
    pub equation: String,
    /// The output's shape without the batch, as in the file: open where the input decides.
    pub output_shape: Vec<Option<usize>>,
    /// Letters of the output that the bias has an axis for.
    pub bias_axes: Option<String>,
    /// Applied to the result.
    pub activation: NamedActivation,
    /// How the kernel begins.
    pub kernel_initializer: Initializer,
    /// How the bias begins.
    pub bias_initializer: Initializer,
}

/// What the letters come to on an input.
struct Axes {
    /// The input's axes that stay, in its order, then those that are summed over, in the kernel's.
    order: Vec<usize>,
    /// The extents of the axes that stay.
    places: Shape,
    /// The kernel's summed extents, and those that come out.
    from: Shape,
    to: Shape,
    /// The output's axes as those of `places` and `to`, one behind the other.
    made: Vec<usize>,
}

impl EinsumDense {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let extent = |value: &Value| match value {
            Value::Null => Some(None),
            _ => value
                .as_u64()
                .filter(|extent| (1..1 << 24).contains(extent))
                .map(|extent| Some(extent as usize)),
        };
        let shape = match config.get("output_shape") {
            Some(Value::Array(extents)) => extents.iter().map(extent).collect(),
            Some(one) => extent(one).map(|one| vec![one]),
            None => None,
        };
        let shape = shape.ok_or_else(|| {
            config.error(
                "`output_shape` is wrong\nhelp: expected extents above 0, or none where the input decides",
            )
        })?;
        let layer = Self {
            equation: config.str_or("equation", "")?.replace(' ', ""),
            output_shape: shape,
            bias_axes: config.get("bias_axes").and_then(Value::as_str).map(str::to_owned),
            activation: NamedActivation::from_config(config, "activation")?,
            kernel_initializer: Initializer::read(config, "kernel_initializer", Initializer::GLOROT_UNIFORM)?,
            bias_initializer: Initializer::read(config, "bias_initializer", Initializer::Constant(0.0))?,
        };
        layer.letters(0).map_err(|message| config.error(message))?;
        Ok(layer)
    }

    fn wrong(&self, what: &str) -> String {
        format!(
            "its equation `{}` {what}\nhelp: frostline has `input,kernel->output` where the kernel's letters are first those that are summed over, then those that come out",
            self.equation
        )
    }

    /// The letters of input, kernel and output; `more` of them stand for `...`.
    fn letters(&self, more: usize) -> Result<[Vec<char>; 3], String> {
        let parts = self.equation.split_once("->").and_then(|(left, output)| {
            let (input, kernel) = left.split_once(',')?;
            Some([input, kernel, output])
        });
        let parts = parts.ok_or_else(|| self.wrong("cannot be read"))?;
        let spare: Vec<char> = ('A'..='Z').take(more).collect();
        let spare: String = spare.into_iter().collect();
        let spelled = parts.map(|part| part.replacen("...", &spare, 1).chars().collect::<Vec<char>>());
        let is_clear = |letters: &Vec<char>| {
            let distinct: std::collections::BTreeSet<&char> = letters.iter().collect();
            distinct.len() == letters.len() && letters.iter().all(char::is_ascii_alphabetic)
        };
        let has_capitals = self.equation.chars().any(|letter| letter.is_ascii_uppercase());
        match spelled.iter().all(is_clear) && !(has_capitals && self.equation.contains("...")) {
            true => Ok(spelled),
            false => Err(self.wrong("cannot be read")),
        }
    }

    fn axes(&self, input: &Shape) -> Result<Axes, String> {
        let written = self.equation.split(',').next().unwrap_or_default();
        let more = match written.contains("...") {
            true => (input.len() + 1).saturating_sub(written.len() - 3),
            false => 0,
        };
        let [own, kernel, output] = self.letters(more)?;
        if own.len() != input.len() + 1 {
            return Err(self.wrong(&format!("does not fit values of {input:?} behind the batch")));
        }
        let batch = own[0];
        if output.first() != Some(&batch) || kernel.contains(&batch) {
            return Err(self.wrong("does not keep the images of a batch apart"));
        }
        let extent_in =
            |letter: &char| own.iter().position(|other| other == letter).map(|axis| input[axis - 1]);
        let is_summed = |letter: &&char| own.contains(letter) && !output.contains(letter);
        let summed: Vec<char> = kernel.iter().take_while(is_summed).copied().collect();
        let coming: Vec<char> = kernel[summed.len()..].to_vec();
        let is_new = |letter: &char| !own.contains(letter) && output.contains(letter);
        let kept: Vec<char> = own[1..].iter().copied().filter(|letter| !summed.contains(letter)).collect();
        if !coming.iter().all(is_new) || !kept.iter().all(|letter| output.contains(letter)) {
            return Err(self.wrong("is of another form"));
        }
        // extents of new axes are counted from the end, as `...` stands in front
        let extent_out = |letter: &char| {
            let behind = output.iter().rev().position(|other| other == letter)?;
            let index = self.output_shape.len().checked_sub(behind + 1)?;
            self.output_shape[index]
        };
        let to: Option<Shape> = coming.iter().map(extent_out).collect();
        let to = to.ok_or_else(|| self.wrong("makes an axis whose extent `output_shape` does not say"))?;
        let all: Vec<char> = kept.iter().chain(&coming).copied().collect();
        let made: Option<Vec<usize>> =
            output[1..].iter().map(|letter| all.iter().position(|other| other == letter)).collect();
        let made = made.filter(|made| made.len() == all.len());
        Ok(Axes {
            order: kept
                .iter()
                .chain(&summed)
                .filter_map(|letter| own[1..].iter().position(|other| other == letter))
                .collect(),
            places: kept.iter().filter_map(extent_in).collect(),
            from: summed.iter().filter_map(extent_in).collect(),
            to,
            made: made.ok_or_else(|| self.wrong("is of another form"))?,
        })
    }

    /// The bias's shape, where there is one: it must be of the axes that come out of the kernel.
    fn bias(&self, axes: &Axes, input: &Shape) -> Result<Option<Shape>, String> {
        let Some(names) = &self.bias_axes else { return Ok(None) };
        let more = if self.equation.contains("...") {
            let written = self.equation.split(',').next().unwrap_or_default();
            (input.len() + 1).saturating_sub(written.len() - 3)
        } else {
            0
        };
        let [_, kernel, output] = self.letters(more)?;
        let coming = &kernel[axes.from.len()..];
        let trailing = &output[output.len() - coming.len().min(output.len())..];
        match names.chars().eq(coming.iter().copied()) && trailing == coming {
            true => Ok(Some(axes.to.clone())),
            false => Err(self.wrong(&format!("has a bias along `{names}`, which is not run"))),
        }
    }
}

impl LayerKind for EinsumDense {
    fn class_name(&self) -> &'static str {
        "EinsumDense"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("equation".to_owned(), json!(self.equation)),
            ("output_shape".to_owned(), json!(self.output_shape)),
            ("bias_axes".to_owned(), json!(self.bias_axes)),
            ("activation".to_owned(), self.activation.json()),
            ("kernel_initializer".to_owned(), self.kernel_initializer.to_config()),
            ("bias_initializer".to_owned(), self.bias_initializer.to_config()),
        ])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let input = super::one_of(inputs)?;
        let axes = self.axes(input)?;
        let shape = [axes.from.as_slice(), &axes.to].concat();
        let mut weights = vec![WeightSpec::trainable("kernel", &shape, self.kernel_initializer.clone())];
        if let Some(bias) = self.bias(&axes, input)? {
            weights.push(WeightSpec::trainable("bias", &bias, self.bias_initializer.clone()));
        }
        Ok(weights)
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        let axes = self.axes(input)?;
        self.bias(&axes, input)?;
        let all = [axes.places.as_slice(), &axes.to].concat();
        Ok(axes.made.iter().map(|axis| all[*axis]).collect())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let input = lowering.shape(inputs[0]).clone();
        let axes = self.axes(&input).map_err(Error::surgery)?;
        let bias = self.bias(&axes, &input).map_err(Error::surgery)?;
        let (rows, columns) = (axes.from.elements(), axes.to.elements());
        let mut value = inputs[0];
        if !axes.order.is_sorted() {
            value = lowering.push(Permute { order: axes.order.clone() }, &[value], &[])?;
        }
        let reshape = |lowering: &mut Lowering<'_>, value: ValueId, shape: Shape| match *lowering.shape(value)
            == shape
        {
            true => Ok(value),
            false => lowering.push(Reshape { shape }, &[value], &[]),
        };
        value = reshape(lowering, value, vec![axes.places.elements(), rows])?;
        let mut params = vec![lowering.weight("kernel", &[rows, columns], Role::Trainable)];
        if bias.is_some() {
            params.push(lowering.weight("bias", &[columns], Role::Trainable));
        }
        let op = ops::Dense { bias: bias.is_some(), activation: Activation::Linear };
        value = lowering.push(op, &[value], &params)?;
        value = reshape(lowering, value, [axes.places.as_slice(), &axes.to].concat())?;
        if !axes.made.is_sorted() {
            value = lowering.push(Permute { order: axes.made.clone() }, &[value], &[])?;
        }
        self.activation.lower(lowering, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    fn shapes(config: Value, input: &[usize]) -> Result<(Shape, Vec<Shape>), String> {
        let kind = read("EinsumDense", config).map_err(|error| error.to_string())?;
        let inputs = [input.to_vec()];
        let weights = kind.weights(&inputs)?.into_iter().map(|weight| weight.shape).collect();
        Ok((kind.output_shape(&inputs)?, weights))
    }

    #[test]
    fn shapes_are_those_of_keras() {
        let config = json!({"equation": "abc,cd->abd", "output_shape": [null, 7], "bias_axes": "d"});
        assert_eq!(shapes(config, &[5, 3]), Ok((vec![5, 7], vec![vec![3, 7], vec![7]])));
        let config = json!({"equation": "abc,cde->abde", "output_shape": [null, 2, 4], "bias_axes": "de"});
        assert_eq!(shapes(config, &[5, 3]), Ok((vec![5, 2, 4], vec![vec![3, 2, 4], vec![2, 4]])));
        let config = json!({"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y"});
        assert_eq!(shapes(config, &[5, 6, 3]), Ok((vec![5, 6, 4], vec![vec![3, 4], vec![4]])));
        let config = json!({"equation": "abc,bd->adc", "output_shape": [7, null]});
        assert_eq!(shapes(config, &[5, 3]), Ok((vec![7, 3], vec![vec![5, 7]])));
    }

    #[test]
    fn what_is_of_another_form_is_refused() {
        for (equation, axes) in [
            ("abc,bcd->abd", json!(null)),
            ("abc,dc->abd", json!(null)),
            ("abc,acd->abd", json!(null)),
            ("abc,cd->abd", json!("b")),
            ("abc", json!(null)),
            ("aab,bc->ac", json!(null)),
        ] {
            let config = json!({"equation": equation, "output_shape": [null, 7], "bias_axes": axes});
            let message = shapes(config, &[5, 3]).expect_err(equation);
            assert!(message.contains("help:"), "{message}");
        }
    }
}
