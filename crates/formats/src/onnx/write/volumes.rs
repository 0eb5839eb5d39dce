//! Convolutions of volumes, which ONNX has with the channels behind the batch.

use super::emit::{Attribute, Value};
use super::layer::{Output, Writer};
use super::window::same;
use frostline_graph::ops::{Conv3d, Padding, Param};
use frostline_graph::{Result, Tensor};

impl Writer<'_> {
    pub(super) fn conv3d(
        &mut self,
        path: &str,
        op: &Conv3d,
        params: &[&Param],
        x: &mut Value,
    ) -> Result<Output, String> {
        let [kernel, bias @ ..] = params else { return Err("it has no kernel".to_owned()) };
        let &[depth, height, width, ..] = kernel.shape.as_slice() else {
            return Err(format!("its kernel has the shape {:?}", kernel.shape));
        };
        let size = [depth, height, width];
        let of = |along: [usize; 2], plane: [usize; 2]| [along[0], plane[0], plane[1]];
        let (strides, dilation) =
            (of(op.depth.strides, op.plane.strides), of(op.depth.dilation, op.plane.dilation));
        let whole =
            |triple: [usize; 3]| Attribute::Ints(triple.iter().map(|extent| *extent as i64).collect());
        let mut attributes = vec![
            ("kernel_shape", whole(size)),
            ("strides", whole(strides)),
            ("dilations", whole(dilation)),
            ("group", Attribute::Int(op.groups as i64)),
        ];
        let margins = match (op.depth.padding, op.plane.padding) {
            (Padding::Same, Padding::Same) => {
                let sides = [0, 1, 2].map(|axis| same(x, axis, size[axis], strides[axis], dilation[axis]));
                sides.into_iter().collect::<Option<Vec<_>>>()
            }
            (along, plane) => {
                let ([front, back], _) = sides(along);
                let (rows, columns) = sides(plane);
                Some(vec![[front, back], rows, columns])
            }
        };
        attributes.push(match margins {
            Some(margins) => {
                let before = margins.iter().map(|side| side[0]);
                ("pads", Attribute::Ints(before.chain(margins.iter().map(|side| side[1])).collect()))
            }
            // where the volume's size is open, the runtime computes it
            None => ("auto_pad", Attribute::Text("SAME_UPPER")),
        });
        let stored = Tensor { shape: kernel.shape.clone(), data: self.numbers(kernel)? };
        let mut names = vec![self.stored(path, "kernel", &stored, &[4, 3, 0, 1, 2])?];
        if let Some(bias) = bias.first() {
            let numbers = self.numbers(bias)?;
            names.push(self.emit.floats(&bias.path, &bias.shape, &numbers));
        }
        let input = self.emit.last(x, path);
        let first = self.emit.transpose(path, &input, &[0, 4, 1, 2, 3]);
        let inputs: Vec<&str> =
            std::iter::once(first.as_str()).chain(names.iter().map(String::as_str)).collect();
        let made = self.emit.node(path, "Conv", &inputs, &attributes);
        Ok(Output::Last(self.emit.transpose(path, &made, &[0, 2, 3, 4, 1])))
    }
}

/// Margins that are numbers: of rows and of columns.
fn sides(padding: Padding) -> ([i64; 2], [i64; 2]) {
    match padding {
        Padding::Explicit { top, bottom, left, right } => {
            ([top as i64, bottom as i64], [left as i64, right as i64])
        }
        Padding::Valid | Padding::Same => ([0; 2], [0; 2]),
    }
}
