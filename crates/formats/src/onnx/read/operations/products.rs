//! Products of matrices.

use super::{array, tensor};
use crate::onnx::read::convert::Converter;
use crate::onnx::read::node::Node;
use crate::onnx::read::value::Value;
use serde_json::{Value as Json, json};

impl Converter<'_> {
    /// Matrices of two values, or of one and known numbers.
    pub(in crate::onnx::read) fn matmul_of_values(
        &mut self,
        node: &Node,
        name: &str,
    ) -> Result<Value, String> {
        let (arguments, values) = self.factors(node, name)?;
        if let [a, b] = values.as_slice()
            && a.rank() != b.rank()
        {
            return Err(format!("it multiplies values of {} and {} axes", a.rank(), b.rank()));
        }
        let made = self.one(name, "Matmul", json!({}), arguments, &values.iter().collect::<Vec<_>>())?;
        // rows stay rows where the first factor is a value; a product with a known first factor mixes them
        let pixels = match values.first().filter(|_| self.known(node, 0).is_none()) {
            Some(first) if first.pixels.len() == made.pixels.len() => {
                let (_, rows) = first.pixels.split_last().unwrap_or((&0, &[]));
                [rows, &[0]].concat()
            }
            _ => vec![0; made.pixels.len()],
        };
        Ok(Value { pixels, ..made })
    }

    /// What a product is called on, and the values among it, their axes in the order of the file.
    fn factors(&mut self, node: &Node, name: &str) -> Result<(Vec<Json>, Vec<Value>), String> {
        let mut arguments = Vec::new();
        let mut values = Vec::new();
        for index in 0..node.inputs.len() {
            match self.known(node, index) {
                Some(constant) => {
                    let data =
                        constant.as_floats().ok_or("it multiplies numbers that are not of a float type")?;
                    arguments.push(array(constant.dims.clone(), data.to_vec()));
                }
                None => {
                    arguments.push(tensor(values.len()));
                    values.push(self.value(node, index)?.plain(&mut self.builder, name)?);
                }
            }
        }
        Ok((arguments, values))
    }

    /// Each axis of an image as a product with a known matrix, `[new, old]`, row by row.
    pub(in crate::onnx::read) fn by_matrices(
        &mut self,
        x: &Value,
        name: &str,
        matrices: [(Vec<f32>, [usize; 2]); 2],
    ) -> Result<Value, String> {
        let [(rows, of_rows), (columns, of_columns)] = matrices;
        let &[height, width, channels] = x.shapes[0].as_slice() else {
            return Err("it resizes a value that is no image".to_owned());
        };
        let flat = self.builder.reshape(
            &format!("{name}.rows"),
            x,
            &[height, width * channels].map(|extent| [extent; 2]),
        )?;
        let made = self.one(
            &format!("{name}.down"),
            "Matmul",
            json!({}),
            vec![array(of_rows.to_vec(), rows), tensor(0)],
            &[&flat],
        )?;
        let image = [of_rows[0], width, channels].map(|extent| [extent; 2]);
        let made = self.builder.reshape(&format!("{name}.columns"), &made, &image)?;
        let made = self.one(
            name,
            "Matmul",
            json!({}),
            vec![array(of_columns.to_vec(), columns), tensor(0)],
            &[&made],
        )?;
        Ok(made.stored_as(x))
    }

    pub(in crate::onnx::read) fn einsum(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let equation = as_keras_has(node.text("equation", ""));
        let (arguments, values) = self.factors(node, name)?;
        let settings = json!({ "subscripts": equation });
        let made = self.one(name, "Einsum", settings, arguments, &values.iter().collect::<Vec<_>>())?;
        Ok(Value { pixels: vec![0; made.pixels.len()], ..made })
    }
}

/// An equation whose letters are small, without spaces: ONNX takes others too, Keras does not.
fn as_keras_has(equation: &str) -> String {
    let equation: String = equation.split_whitespace().collect();
    let mut letters: Vec<char> = Vec::new();
    for letter in equation.chars().filter(char::is_ascii_alphabetic) {
        if !letters.contains(&letter) {
            letters.push(letter);
        }
    }
    let small = |letter: char| match letters.iter().position(|own| *own == letter) {
        Some(place) => ('a'..='z').nth(place).unwrap_or(letter),
        None => letter,
    };
    match letters.len() {
        ..=26 => equation.chars().map(small).collect(),
        _ => equation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_an_equation_are_small() {
        assert_eq!(as_keras_has("B G H I D, B G H J D -> B G H I J"), "abcde,abcfe->abcdf");
        assert_eq!(as_keras_has("...ij,jk->...ik"), "...ab,bc->...ac");
    }
}
