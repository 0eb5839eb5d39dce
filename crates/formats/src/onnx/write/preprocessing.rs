//! What comes before a model, as a part of its graph: pixels of an image of any size become what the model is called on.

use super::emit::{Attribute, Emitter, Value};
use super::layer::Writer;
use super::resize::interpolation;
use crate::onnx::proto::tensor_proto::DataType;
use crate::{EmbeddedFit, EmbeddedKernel, EmbeddedPreprocessing, EmbeddedSize};
use frostline_graph::ops::ResizeMethod;
use frostline_graph::{Body, Model, Result, Shape};

/// Where the new nodes are.
const PATH: &str = "preprocessing";

impl Writer<'_> {
    /// The outputs of a model for pixels, `[batch, height, width, channels]` in uint8. Features are averaged over the views.
    pub(super) fn on_pixels(
        &mut self,
        model: &Model,
        pixels: &str,
        channels: usize,
        wanted: &EmbeddedPreprocessing,
    ) -> Result<Vec<usize>, String> {
        let fits =
            [&wanted.scale, &wanted.offset].iter().all(|list| list.len() == 1 || list.len() == channels);
        if !fits {
            return Err(format!(
                "the preprocessing is for images of {} channels, the model's have {channels}",
                wanted.scale.len()
            ));
        }
        let pixels = &self.emit.transpose(PATH, pixels, &[0, 3, 1, 2]);
        if let [size] = wanted.views.as_slice() {
            let input = self.view(pixels, channels, wanted, size);
            return self.graph(&model.graph, "", &[input]);
        }
        let (below, name, kind) = model
            .split_dense_output()
            .and_then(|(below, layer)| match &layer.body {
                Body::Kind(kind) => Some((below, layer.name.clone(), kind)),
                _ => None,
            })
            .ok_or(
                "it has several views, and does not end in a Dense layer\nhelp: give the setting `views-at-predict = 1`",
            )?;
        let mut features = Vec::new();
        for size in &wanted.views {
            let input = self.view(pixels, channels, wanted, size);
            let index = *self.graph(&below.graph, "", &[input])?.first().ok_or("it has no output")?;
            features.push(index);
        }
        let mut values: Vec<Value> = features.iter().map(|index| self.values[*index].clone()).collect();
        let names: Vec<String> = values.iter_mut().map(|value| self.emit.last(value, PATH)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mean = self.emit.node(PATH, "Mean", &names, &[]);
        let shapes = values.first().map(|value| value.shapes.clone()).ok_or("it is seen in no view")?;
        let mean = self.push(Value { first: None, last: Some(mean), shapes: shapes.clone() });
        let output = self.layer(&name, kind, &[mean])?;
        let output_shape = |shape: &Shape| kind.output_shape(std::slice::from_ref(shape));
        let shapes = [output_shape(&shapes[0])?, output_shape(&shapes[1])?];
        Ok(vec![self.push_output(output, shapes)])
    }

    /// One view of the pixels, which have their channels first, scaled.
    fn view(
        &mut self,
        pixels: &str,
        channels: usize,
        wanted: &EmbeddedPreprocessing,
        size: &EmbeddedSize,
    ) -> usize {
        let emit = &mut self.emit;
        let [height, width] = wanted.size;
        let extents = match size {
            EmbeddedSize::Own => emit.whole(&format!("{PATH}/size"), &[height as i64, width as i64]),
            EmbeddedSize::Shape { .. } => emit.extents(pixels, wanted.size, size),
        };
        let mut image = emit.fitted(pixels, &extents, wanted.kernel, wanted.fit);
        if wanted.reverse_channels {
            let order: Vec<i64> = (0..channels as i64).rev().collect();
            let order = emit.whole(&format!("{PATH}/channels"), &order);
            image = emit.node(PATH, "Gather", &[&image, &order], &[("axis", Attribute::Int(1))]);
        }
        let image = emit.affine(PATH, &image, &[channels, 1, 1], &wanted.scale, &wanted.offset);
        let open = |more| vec![height + more, width + more, channels];
        let shapes = match size {
            EmbeddedSize::Own => [open(0), open(0)],
            EmbeddedSize::Shape { step, .. } => [open(0), open(*step as usize)],
        };
        self.push(Value { last: None, first: Some(image), shapes })
    }
}

impl Emitter {
    /// Pixels of another shape, as f32. `extents`: the height and width that are wanted. Rounded as frostline does it, and
    /// torchvision and Pillow.
    fn fitted(&mut self, pixels: &str, extents: &str, kernel: EmbeddedKernel, fit: EmbeddedFit) -> String {
        let cast = |emit: &mut Self, x: &str, kind: DataType| {
            emit.node(PATH, "Cast", &[x], &[("to", Attribute::Int(kind as i64))])
        };
        // height and width have changed places
        let turned = |emit: &mut Self, pair: &str| {
            let order = emit.whole(&format!("{PATH}/turned"), &[1, 0]);
            emit.node(PATH, "Gather", &[pair, &order], &[])
        };
        // the half of a whole number, to the nearest one, of two as near the even one
        let half = |emit: &mut Self, number: &str| {
            let two = emit.whole(&format!("{PATH}/two"), &[2]);
            let down = emit.node(PATH, "Div", &[number, &two], &[]);
            let [odd, down_is_odd] =
                [number, &down].map(|number| emit.node(PATH, "Mod", &[number, &two], &[]));
            let more = emit.node(PATH, "Mul", &[&odd, &down_is_odd], &[]);
            emit.node(PATH, "Add", &[&down, &more], &[])
        };
        if fit == EmbeddedFit::Squash {
            return self.resized(pixels, extents, kernel);
        }
        let own = self.node(PATH, "Shape", &[pixels], &[("start", Attribute::Int(2))]);
        let [other_own, other_extents] = [&own, extents].map(|pair| turned(self, pair));
        if fit == EmbeddedFit::Crop {
            let product = self.node(PATH, "Mul", &[&own, &other_extents], &[]);
            let scaled = self.node(PATH, "Div", &[&product, &other_own], &[]);
            let size = self.node(PATH, "Max", &[&scaled, extents], &[]);
            let image = self.resized(pixels, &size, kernel);
            let over = self.node(PATH, "Sub", &[&size, extents], &[]);
            let start = half(self, &over);
            let end = self.node(PATH, "Add", &[&start, extents], &[]);
            let axes = self.whole(&format!("{PATH}/axes"), &[2, 3]);
            return self.node(PATH, "Slice", &[&image, &start, &end, &axes], &[]);
        }
        let [own, other_own, other_extents] =
            [&own, &other_own, &other_extents].map(|pair| cast(self, pair, DataType::Double));
        let ratio = self.node(PATH, "Div", &[&own, &other_own], &[]);
        let scaled = self.node(PATH, "Mul", &[&ratio, &other_extents], &[]);
        let scaled = self.node(PATH, "Round", &[&scaled], &[]);
        let scaled = cast(self, &scaled, DataType::Int64);
        let one = self.whole(&format!("{PATH}/one"), &[1]);
        let scaled = self.node(PATH, "Max", &[&scaled, &one], &[]);
        let size = self.node(PATH, "Min", &[&scaled, extents], &[]);
        let image = self.resized(pixels, &size, kernel);
        let missing = self.node(PATH, "Sub", &[extents, &size], &[]);
        let before = half(self, &missing);
        let after = self.node(PATH, "Sub", &[&missing, &before], &[]);
        let none = self.whole(&format!("{PATH}/none"), &[0, 0]);
        let pads =
            self.node(PATH, "Concat", &[&none, &before, &none, &after], &[("axis", Attribute::Int(0))]);
        self.node(PATH, "Pad", &[&image, &pads], &[])
    }

    /// Pixels at another size, as f32. `extents`: the new height and width.
    fn resized(&mut self, pixels: &str, extents: &str, kernel: EmbeddedKernel) -> String {
        let to_floats = |emit: &mut Self, x: &str| {
            emit.node(PATH, "Cast", &[x], &[("to", Attribute::Int(DataType::Float as i64))])
        };
        let sampled = |emit: &mut Self, method| {
            let x = to_floats(emit, pixels);
            emit.resize_to(PATH, &x, extents, &interpolation(method))
        };
        let averaged = |emit: &mut Self, mode| {
            // Pillow: a wider kernel where the image shrinks, cut off at the border; whole numbers come out
            let attributes = [
                ("mode", Attribute::Text(mode)),
                ("antialias", Attribute::Int(1)),
                ("exclude_outside", Attribute::Int(1)),
                ("cubic_coeff_a", Attribute::Float(-0.5)),
                ("coordinate_transformation_mode", Attribute::Text("half_pixel")),
            ];
            let image = emit.resize_to(PATH, pixels, extents, &attributes);
            to_floats(emit, &image)
        };
        match kernel {
            EmbeddedKernel::Bilinear => sampled(self, ResizeMethod::Bilinear),
            EmbeddedKernel::Nearest => sampled(self, ResizeMethod::Nearest),
            EmbeddedKernel::AveragedBilinear => averaged(self, "linear"),
            EmbeddedKernel::AveragedBicubic => averaged(self, "cubic"),
        }
    }

    /// Height and width of a view that keeps the image's shape, from pixels with their channels first: of an image of `w x h`
    /// and a model of `W x H`, with `s = √(w·H / (h·W))`, `scale·H/s` and `scale·W·s`, each moved to the nearest that differs
    /// from the model's own by a multiple of `step`.
    fn extents(&mut self, pixels: &str, own: [usize; 2], size: &EmbeddedSize) -> String {
        let EmbeddedSize::Shape { scale, step, longest } = *size else { return String::new() };
        let own = own.map(|extent| extent as f64);
        let shape = self.node(PATH, "Shape", &[pixels], &[("start", Attribute::Int(2))]);
        let cast_to = |kind: DataType| [("to", Attribute::Int(kind as i64))];
        let shape = self.node(PATH, "Cast", &[&shape], &cast_to(DataType::Double));
        let mut side = |index: i64| {
            let at = self.whole(&format!("{PATH}/axis"), &[index]);
            self.node(PATH, "Gather", &[&shape, &at], &[])
        };
        let (height, width) = (side(0), side(1));
        let mut ratio = self.node(PATH, "Div", &[&width, &height], &[]);
        for (op, number) in [("Mul", own[0] / own[1]), ("Max", 1.0 / longest), ("Min", longest)] {
            let number = self.doubles(&format!("{PATH}/ratio"), &[number]);
            ratio = self.node(PATH, op, &[&ratio, &number], &[]);
        }
        let stretch = self.node(PATH, "Sqrt", &[&ratio], &[]);
        let wanted = own.map(|extent| scale * extent);
        let [down, across] = wanted.map(|extent| self.doubles(&format!("{PATH}/wanted"), &[extent]));
        let down = self.node(PATH, "Div", &[&down, &stretch], &[]);
        let across = self.node(PATH, "Mul", &[&across, &stretch], &[]);
        let wanted = self.node(PATH, "Concat", &[&down, &across], &[("axis", Attribute::Int(0))]);
        let own_name = self.doubles(&format!("{PATH}/own"), &own);
        let step_name = self.doubles(&format!("{PATH}/step"), &[step]);
        let more = self.node(PATH, "Sub", &[&wanted, &own_name], &[]);
        let steps = self.node(PATH, "Div", &[&more, &step_name], &[]);
        // halves away from 0
        let half = self.doubles(&format!("{PATH}/half"), &[0.5]);
        let (sign, size) = (self.node(PATH, "Sign", &[&steps], &[]), self.node(PATH, "Abs", &[&steps], &[]));
        let size = self.node(PATH, "Add", &[&size, &half], &[]);
        let size = self.node(PATH, "Floor", &[&size], &[]);
        let steps = self.node(PATH, "Mul", &[&size, &sign], &[]);
        let least =
            self.doubles(&format!("{PATH}/least"), &own.map(|extent| -((extent / 2.0) / step).floor()));
        let steps = self.node(PATH, "Max", &[&steps, &least], &[]);
        let more = self.node(PATH, "Mul", &[&steps, &step_name], &[]);
        let extents = self.node(PATH, "Add", &[&own_name, &more], &[]);
        self.node(PATH, "Cast", &[&extents], &cast_to(DataType::Int64))
    }
}
