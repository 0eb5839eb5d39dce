//! Swin. Source: Liu et al. 2021, sections 3.1 and 3.2.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, named, timm};
use frostline_graph::{Error, TensorId};
use serde_json::{Value, json};

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swin {
    channels: usize,
    depths: [usize; 4],
    heads: [usize; 4],
    /// The side of the images, and of the windows of each stage.
    image: usize,
    windows: [usize; 4],
    /// The chance that torchvision's last block is left out; it rises from 0 block by block.
    stochastic_depth: f64,
}

const PATCH: usize = 4;
const EPSILON: f64 = 1e-5;
/// As timm has it.
const TIMM_STOCHASTIC_DEPTH: f64 = 0.1;
/// What is added to the logits of places that were not beside each other before the image was rolled.
const APART: f64 = -100.0;

const fn swin(channels: usize, depths: [usize; 4], heads: usize) -> Swin {
    Swin {
        channels,
        depths,
        heads: [heads, 2 * heads, 4 * heads, 8 * heads],
        image: 224,
        windows: [7; 4],
        stochastic_depth: 0.0,
    }
}

impl Swin {
    const fn of_384(self) -> Self {
        Self { image: 384, windows: [12; 4], ..self }
    }

    const fn windows(self, windows: [usize; 4]) -> Self {
        Self { windows, ..self }
    }

    const fn drops(self, stochastic_depth: f64) -> Self {
        Self { stochastic_depth, ..self }
    }
}

pub(super) const TABLE: &[Row<Swin>] = &[
    named("swin_t", "swin_tiny_patch4_window7_224", swin(96, [2, 2, 6, 2], 3).drops(0.2)),
    named("swin_s", "swin_small_patch4_window7_224", swin(96, [2, 2, 18, 2], 3).drops(0.3)),
    named("swin_b", "swin_base_patch4_window7_224", swin(128, [2, 2, 18, 2], 4).drops(0.5)),
    timm("swin_large_patch4_window7_224", swin(192, [2, 2, 18, 2], 6)),
    timm("swin_base_patch4_window12_384", swin(128, [2, 2, 18, 2], 4).of_384()),
    timm("swin_large_patch4_window12_384", swin(192, [2, 2, 18, 2], 6).of_384()),
    timm("swin_s3_tiny_224", swin(96, [2, 2, 6, 2], 3).windows([7, 7, 14, 7])),
    timm("swin_s3_small_224", swin(96, [2, 2, 18, 2], 3).windows([14, 14, 14, 7])),
    timm("swin_s3_base_224", swin(96, [2, 2, 30, 2], 3).windows([7, 7, 14, 7])),
];

impl Swin {
    /// Whether images of this height and width are squares that whole windows fill in each stage.
    fn takes(&self, [height, width]: [usize; 2]) -> bool {
        let fills = |(stage, window): (usize, &usize)| {
            let side = (height / PATCH) >> stage;
            side > 0 && side.is_multiple_of((*window).min(side))
        };
        let whole = height.is_multiple_of(PATCH << (self.depths.len() - 1));
        height == width && whole && self.windows.iter().enumerate().all(fills)
    }
}

/// Where attention is: on `side` x `side` places, in windows of `window` x `window`, rolled by `shift`.
#[derive(Clone, Copy)]
struct Place {
    side: usize,
    window: usize,
    shift: usize,
    channels: usize,
    heads: usize,
}

impl Network for Swin {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        let is_torchvision = library == Library::Torchvision;
        let size = b.image_size.unwrap_or([self.image; 2]);
        if !self.takes(size) {
            b.fail(Error::setting(format!(
                "windows of {:?} places do not fill images of {}x{} in each stage\nhelp: give a multiple of the setting `image-size = {}`",
                self.windows, size[0], size[1], self.image
            )));
            return TensorId { call: 0, output: 0 };
        }
        let x = b.images_of(size);
        let [patches, norm] = match library {
            Library::Torchvision => ["features.0.0", "features.0.2"],
            Library::Timm => ["patch_embed.proj", "patch_embed.norm"],
        };
        let x = b.conv(patches, x, Conv::patches(self.channels, PATCH));
        let mut x = b.layer_norm(norm, x, EPSILON);
        let last = self.depths.iter().sum::<usize>() - 1;
        let most = if is_torchvision { self.stochastic_depth } else { TIMM_STOCHASTIC_DEPTH };
        let mut number = 0;
        for (stage, depth) in self.depths.into_iter().enumerate() {
            let side = (size[0] / PATCH) >> stage;
            let channels = self.channels << stage;
            let (merging, blocks) = match library {
                Library::Torchvision => {
                    (format!("features.{}", 2 * stage), format!("features.{}", 2 * stage + 1))
                }
                Library::Timm => (format!("layers.{stage}.downsample"), format!("layers.{stage}.blocks")),
            };
            // the masks of windows are large, and not worth their making for a guess that fails
            if b.has_failed() {
                return x;
            }
            if stage > 0 {
                x = merged(b, &merging, x, side, channels);
            }
            for index in 0..depth {
                let window = self.windows[stage].min(side);
                let shift = if index % 2 == 1 && window < side { window / 2 } else { 0 };
                let place = Place { side, window, shift, channels, heads: self.heads[stage] };
                let rate = most * number as f64 / last as f64;
                x = block(b, library, &format!("{blocks}.{index}"), place, rate, x);
                number += 1;
            }
        }
        let x = b.layer_norm("norm", x, EPSILON);
        let x = b.pooled("avgpool", x);
        b.classifier(if is_torchvision { "head" } else { "head.fc" }, x)
    }
}

/// Four places become one of twice the channels.
fn merged(b: &mut Builder<'_>, path: &str, x: TensorId, side: usize, channels: usize) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let [half, own] = [side as i64, (channels / 2) as i64];
    let x = b.reshaped(&child("pairs"), x, &[half, 2, half, 2, own]);
    let x = b.permuted(&child("order"), x, &[1, 3, 4, 2, 5]);
    let x = b.reshaped(&child("merged"), x, &[half, half, 4 * own]);
    let x = b.layer_norm(&child("norm"), x, EPSILON);
    b.linear_as_saved(&child("reduction"), x, channels)
}

fn block(
    b: &mut Builder<'_>,
    library: Library,
    path: &str,
    place: Place,
    rate: f64,
    x: TensorId,
) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let mlp = match library {
        Library::Torchvision => ["mlp.0", "mlp.3"],
        Library::Timm => ["mlp.fc1", "mlp.fc2"],
    };
    let y = b.layer_norm(&child("norm1"), x, EPSILON);
    let y = rolled(b, &child("attn.roll"), y, -(place.shift as i64));
    let y = windows(b, &child("attn"), y, place);
    let y = attention(b, &child("attn"), y, place);
    let y = image(b, &child("attn"), y, place);
    let y = rolled(b, &child("attn.roll_back"), y, place.shift as i64);
    // one layer for both branches, as torchvision has one module
    let dropped = b.stochastic_depth(&child("stochastic_depth"), y, rate);
    let x = b.add(&child("add1"), x, dropped);
    let y = b.layer_norm(&child("norm2"), x, EPSILON);
    let y = b.linear(&child(mlp[0]), y, 4 * place.channels);
    let y = b.activation(&child(mlp[0]), "gelu", y);
    let y = b.linear(&child(mlp[1]), y, place.channels);
    let y = if rate > 0.0 { b.again(dropped, y) } else { y };
    b.add(&child("add2"), x, y)
}

fn rolled(b: &mut Builder<'_>, name: &str, x: TensorId, by: i64) -> TensorId {
    match by {
        0 => x,
        by => b.operation(name, "Roll", json!({"shift": [by, by], "axis": [1, 2]}), &[x], &[]),
    }
}

/// An image as windows: `[windows, places, channels]`.
fn windows(b: &mut Builder<'_>, path: &str, x: TensorId, place: Place) -> TensorId {
    let Place { side, window, channels, .. } = place;
    let [across, window, channels] = [side / window, window, channels].map(|extent| extent as i64);
    let x = b.reshaped(&format!("{path}.cut"), x, &[across, window, across, window, channels]);
    let x = b.permuted(&format!("{path}.cut_order"), x, &[1, 3, 2, 4, 5]);
    b.reshaped(&format!("{path}.windows"), x, &[across * across, window * window, channels])
}

/// The way back.
fn image(b: &mut Builder<'_>, path: &str, x: TensorId, place: Place) -> TensorId {
    let Place { side, window, channels, .. } = place;
    let [across, window, side, channels] =
        [side / window, window, side, channels].map(|extent| extent as i64);
    let x = b.reshaped(&format!("{path}.paste"), x, &[across, across, window, window, channels]);
    let x = b.permuted(&format!("{path}.paste_order"), x, &[1, 3, 2, 4, 5]);
    b.reshaped(&format!("{path}.image"), x, &[side, side, channels])
}

/// Attention in each window, with a learned bias for each distance.
fn attention(b: &mut Builder<'_>, path: &str, x: TensorId, place: Place) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let Place { side, window, shift, channels, heads } = place;
    let (count, places, width) = ((side / window).pow(2), window * window, channels / heads);
    let shape = [count, places, heads, width].map(|extent| extent as i64);
    let bias = bias(b, path, x, place);
    let x = b.linear_as_saved(&child("qkv"), x, 3 * channels);
    let parts: [TensorId; 3] = b.parts(&child("parts"), x);
    let mut part = |name: &str, x: TensorId, order: &[usize]| {
        let x = b.reshaped(&child(&format!("{name}.heads")), x, &shape);
        b.permuted(&child(name), x, order)
    };
    let query = part("query", parts[0], &[1, 3, 2, 4]);
    let key = part("key", parts[1], &[1, 3, 4, 2]);
    let value = part("value", parts[2], &[1, 3, 2, 4]);
    let scale = json!((width as f64).powf(-0.5));
    let query = b.operation(&child("scaled"), "Multiply", json!({}), &[query], &[scale]);
    let mut logits = b.operation(&child("logits"), "Matmul", json!({}), &[query, key], &[]);
    logits = b.operation(&child("biased"), "Add", json!({}), &[logits, bias], &[]);
    if shift > 0 {
        let mask = json!({"array": mask(place), "dtype": "float32"});
        logits = b.operation(&child("masked"), "Add", json!({}), &[logits], &[mask]);
    }
    let weights = b.layer(&child("softmax"), "Softmax", json!({"axis": -1}), &[logits]);
    let x = b.operation(&child("weighted"), "Matmul", json!({}), &[weights, value], &[]);
    let x = b.permuted(&child("tokens"), x, &[1, 3, 2, 4]);
    let x = b.reshaped(&child("joined"), x, &[count as i64, places as i64, channels as i64]);
    b.linear(&child("proj"), x, channels)
}

/// `[1, heads, places, places]`, from a table with a row for each distance.
fn bias(b: &mut Builder<'_>, path: &str, like: TensorId, place: Place) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let Place { window, heads, .. } = place;
    let (rows, places) = ((2 * window - 1).pow(2), window * window);
    let table = child("relative_position_bias_table");
    let table = b.parameter(&table, (like, 4), &[rows, heads], &[rows, heads]);
    let indices = json!({"array": distances(window), "dtype": "int32"});
    let bias = b.operation(&child("bias.rows"), "Take", json!({"axis": 1}), &[table], &[indices]);
    let bias = b.permuted(&child("bias.order"), bias, &[3, 1, 2]);
    b.reshaped(&child("bias"), bias, &[1, heads as i64, places as i64, places as i64])
}

/// The row of the table for each two places of a window.
fn distances(window: usize) -> Value {
    let places: Vec<[usize; 2]> = (0..window * window).map(|at| [at / window, at % window]).collect();
    let row = |one: &[usize; 2], other: &[usize; 2]| {
        let [down, right] = [0, 1].map(|axis| one[axis] + window - 1 - other[axis]);
        down * (2 * window - 1) + right
    };
    places.iter().map(|one| places.iter().map(|other| row(one, other)).collect::<Value>()).collect()
}

/// `[1, windows, 1, places, places]`: where two places of a window were apart before the image was rolled.
fn mask(place: Place) -> Value {
    let Place { side, window, shift, .. } = place;
    // the part of the rolled axis that a place is in: what came round, is cut off by it, or neither
    let part = |at: usize| usize::from(at >= side - window) + usize::from(at >= side - shift);
    let across = side / window;
    let parts = |number: usize| -> Vec<usize> {
        let (top, left) = (number / across * window, number % across * window);
        (0..window * window).map(|at| 3 * part(top + at / window) + part(left + at % window)).collect()
    };
    let of_window = |number: usize| -> Value {
        let parts = parts(number);
        let row = |one: &usize| -> Value {
            parts.iter().map(|other| if one == other { 0.0 } else { APART }).collect()
        };
        let rows: Value = parts.iter().map(row).collect();
        json!([rows])
    };
    let windows: Value = (0..across * across).map(of_window).collect();
    json!([windows])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_rows_first() {
        // torchvision's `relative_position_index` of a window of 2 x 2
        assert_eq!(distances(2), json!([[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]));
    }

    #[test]
    fn only_places_that_were_together_see_each_other() {
        let place = Place { side: 4, window: 2, shift: 1, channels: 8, heads: 1 };
        let mask = mask(place);
        assert_eq!(mask[0][0][0], json!(vec![vec![0.0; 4]; 4]));
        assert_eq!(mask[0][1][0][0], json!([0.0, APART, 0.0, APART]));
        assert_eq!(mask[0][3][0][0], json!([0.0, APART, APART, APART]));
    }
}
