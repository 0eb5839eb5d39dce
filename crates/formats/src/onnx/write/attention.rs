//! `MultiHeadAttention` as products of matrices.

use super::emit::Attribute;
use super::layer::{Output, Writer};
use frostline_graph::Result;
use frostline_graph::layers::MultiHeadAttention;

impl Writer<'_> {
    /// Query, value and perhaps key; heads lie behind the batch while they look.
    pub(super) fn attention(
        &mut self,
        path: &str,
        layer: &MultiHeadAttention,
        inputs: &[usize],
    ) -> Result<Output, String> {
        let [query, value, key] = MultiHeadAttention::operands(inputs)?;
        let heads = layer.num_heads as i64;
        let mut projected = Vec::with_capacity(3);
        let parts =
            [("query", query, layer.key_dim), ("key", key, layer.key_dim), ("value", value, layer.value_dim)];
        for (part, input, width) in parts {
            let mut x = self.values.get(input).cloned().ok_or("it is called on nothing")?;
            let name = self.emit.last(&mut x, path);
            let channels = x.channels();
            let name = self.emit.reshape(path, &name, &[0, -1, channels as i64]);
            let product =
                self.projected(path, part, layer.use_bias, &name, [channels, layer.num_heads * width])?;
            let split = self.emit.reshape(path, &product, &[0, -1, heads, width as i64]);
            let order = if part == "key" { [0, 2, 3, 1] } else { [0, 2, 1, 3] };
            projected.push(self.emit.transpose(path, &split, &order));
        }
        let [query, key, value] = projected.as_slice() else {
            return Err("it is called on nothing".to_owned());
        };
        let scale = self.emit.number(&format!("{path}/scale"), (layer.key_dim as f32).sqrt().recip());
        let query = self.emit.node(path, "Mul", &[query, &scale], &[]);
        let scores = self.emit.node(path, "MatMul", &[&query, key], &[]);
        let shares = self.emit.node(path, "Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let seen = self.emit.node(path, "MatMul", &[&shares, value], &[]);
        let seen = self.emit.transpose(path, &seen, &[0, 2, 1, 3]);
        let width = layer.num_heads * layer.value_dim;
        let seen = self.emit.reshape(path, &seen, &[0, -1, width as i64]);
        let x = self.values.get(inputs[0]).cloned().ok_or("it is called on nothing")?;
        let to = layer.output_shape.clone().unwrap_or_else(|| vec![x.channels()]);
        let output =
            self.projected(path, "attention_output", layer.use_bias, &seen, [width, to.iter().product()])?;
        // places that are open in number are counted
        let places = 0..x.shapes[0].len() - 1;
        let open = places.clone().filter(|axis| x.known(*axis).is_none()).count();
        if open > 1 {
            return Err("the size of its input is open\nhelp: give the model a size".to_owned());
        }
        let places = places.map(|axis| x.known(axis).map_or(-1, |extent| extent as i64));
        let shape: Vec<i64> =
            std::iter::once(0).chain(places).chain(to.iter().map(|extent| *extent as i64)).collect();
        Ok(Output::Last(self.emit.reshape(path, &output, &shape)))
    }

    /// Times a kernel, which is a matrix here.
    fn projected(
        &mut self,
        path: &str,
        part: &str,
        use_bias: bool,
        x: &str,
        [rows, columns]: [usize; 2],
    ) -> Result<String, String> {
        let kernel = self.weight(path, &format!("{part}_kernel"))?;
        let kernel = self.emit.floats(&format!("{path}/{part}_kernel"), &[rows, columns], &kernel.data);
        let bias = use_bias.then(|| self.weight(path, &format!("{part}_bias"))).transpose()?;
        let bias = bias.map(|bias| self.emit.floats(&format!("{path}/{part}_bias"), &[columns], &bias.data));
        Ok(self.emit.product(path, x, &kernel, bias.as_deref()))
    }
}
