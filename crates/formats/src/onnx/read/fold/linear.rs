//! Products, convolutions and normalisations of known tensors: kernels that are standardised when they are used, positions
//! that a small network makes.

use super::{MOST, axis_of, binary, broadcast, indices};
use crate::onnx::read::constant::{Constant, Data, Extent, product};
use crate::onnx::read::node::Node;
use frostline_graph::Extents;

/// No product of known tensors takes more multiplications.
const MOST_PRODUCTS: usize = 1 << 31;

/// `MatMul`.
pub(super) fn matmul(a: &Constant, b: &Constant) -> Option<Constant> {
    let (x, y) = (a.as_floats()?, b.as_floats()?);
    let (outer_a, &[rows, inner]) = a.dims.split_last_chunk()?;
    let (outer_b, &[depth, columns]) = b.dims.split_last_chunk()?;
    let outer = broadcast(outer_a, outer_b)?;
    let dims = [outer.as_slice(), &[rows, columns]].concat();
    let len = product(&dims).filter(|len| *len <= MOST)?;
    (depth == inner && len.checked_mul(inner)? <= MOST_PRODUCTS).then_some(())?;
    let mut data = Vec::with_capacity(len);
    for (at_a, at_b) in indices(outer_a, &outer).into_iter().zip(indices(outer_b, &outer)) {
        let x = x.get(at_a * rows * inner..)?;
        let y = y.get(at_b * inner * columns..)?;
        for row in 0..rows {
            let mut sums = vec![0.0f64; columns];
            for (factor, y) in x.get(row * inner..(row + 1) * inner)?.iter().zip(y.chunks(columns.max(1))) {
                let factor = f64::from(*factor);
                sums.iter_mut().zip(y).for_each(|(sum, y)| *sum += factor * f64::from(*y));
            }
            data.extend(sums.into_iter().map(|sum| sum as f32));
        }
    }
    Some(Constant { dims, data: Data::Float(data) })
}

/// `Gemm` of rows and a kernel.
pub(super) fn gemm(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let given = |index: usize| inputs.get(index).copied().flatten();
    let turned = |x: &Constant, name: &str| match node.int(name).unwrap_or(0) {
        0 => Some(x.clone()),
        _ => super::transpose(x, None),
    };
    let product = matmul(&turned(given(0)?, "transA")?, &turned(given(1)?, "transB")?)?;
    let times =
        |x: &Constant, name: &str| binary("Mul", x, &Constant::floats(&[], vec![node.float(name, 1.0)]));
    let product = times(&product, "alpha")?;
    match given(2) {
        Some(bias) => binary("Add", &product, &times(bias, "beta")?),
        None => Some(product),
    }
}

/// `Einsum`: a letter for each axis, those that the result has not are summed over.
pub(super) fn einsum(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let equation: String = node.text("equation", "").chars().filter(|letter| *letter != ' ').collect();
    let (terms, result) = equation.split_once("->")?;
    let terms: Vec<Vec<char>> = terms.split(',').map(|term| term.chars().collect()).collect();
    let tensors: Vec<&Constant> = inputs.iter().copied().collect::<Option<_>>()?;
    let result: Vec<char> = result.chars().collect();
    let mut letters = result.clone();
    terms.iter().flatten().for_each(|letter| {
        if !letters.contains(letter) {
            letters.push(*letter);
        }
    });
    let extent = |letter: &char| {
        let mut found = terms.iter().zip(&tensors).flat_map(|(term, tensor)| term.iter().zip(&tensor.dims));
        found.find(|(own, _)| *own == letter).map(|(_, extent)| *extent)
    };
    let extents: Vec<usize> = letters.iter().map(extent).collect::<Option<_>>()?;
    let fits = |(term, tensor): (&Vec<char>, &&Constant)| {
        let same = |(letter, own): (&char, &usize)| extent(letter) == Some(*own);
        term.len() == tensor.dims.len() && term.iter().zip(&tensor.dims).all(same)
    };
    let is_plain = letters.iter().all(char::is_ascii_alphabetic) && terms.len() == tensors.len();
    (is_plain && terms.iter().zip(&tensors).all(fits)).then_some(())?;
    let steps = product(&extents).filter(|steps| *steps <= MOST_PRODUCTS)?;
    let dims = extents.get(..result.len())?.to_vec();
    let len = product(&dims).filter(|len| *len <= MOST)?;
    // how far apart the places of a letter lie in each tensor
    let strides = |term: &Vec<char>, tensor: &Constant| -> Vec<usize> {
        let stride = |letter: &char| {
            let at = |axis: usize| tensor.dims.get(axis + 1..).unwrap_or_default().to_vec().elements();
            term.iter().enumerate().filter(|(_, own)| *own == letter).map(|(axis, _)| at(axis)).sum()
        };
        letters.iter().map(stride).collect()
    };
    let strides: Vec<Vec<usize>> =
        terms.iter().zip(&tensors).map(|(term, tensor)| strides(term, tensor)).collect();
    let values: Vec<&[f32]> = tensors.iter().map(|tensor| tensor.as_floats()).collect::<Option<_>>()?;
    let inner = steps / len.max(1);
    let mut data = Vec::with_capacity(len);
    let mut at = vec![0usize; letters.len()];
    for _ in 0..len {
        let mut sum = 0.0f64;
        for _ in 0..inner {
            let mut product = 1.0f64;
            for (values, strides) in values.iter().zip(&strides) {
                let place: usize = at.iter().zip(strides).map(|(at, stride)| at * stride).sum();
                product *= f64::from(*values.get(place)?);
            }
            sum += product;
            for (at, extent) in at.iter_mut().zip(&extents).rev() {
                *at += 1;
                if *at < *extent {
                    break;
                }
                *at = 0;
            }
        }
        data.push(sum as f32);
    }
    Some(Constant { dims, data: Data::Float(data) })
}

/// `Softmax` along one axis.
pub(super) fn softmax(x: &Constant, axis: i64) -> Option<Constant> {
    let axis = axis_of(axis, x.dims.len())?;
    let (extent, inner) = (x.dims[axis], x.dims[axis + 1..].to_vec().elements());
    let mut data = x.as_floats()?.to_vec();
    for block in data.chunks_mut((extent * inner).max(1)) {
        for place in 0..inner {
            let row = || (0..extent).map(move |at| at * inner + place);
            let most = row().map(|at| block[at]).fold(f32::NEG_INFINITY, f32::max);
            let all: f64 = row().map(|at| f64::from(block[at] - most).exp()).sum();
            row().for_each(|at| block[at] = (f64::from(block[at] - most).exp() / all) as f32);
        }
    }
    Some(Constant { dims: x.dims.clone(), data: Data::Float(data) })
}

/// `CumSum`: each element with all before it along an axis.
pub(super) fn cumulative_sum(node: &Node, x: &Constant, axis: &Constant) -> Option<Constant> {
    let is_plain = node.int("exclusive").unwrap_or(0) == 0 && node.int("reverse").unwrap_or(0) == 0;
    let axis = axis_of(*axis.as_known()?.first()?, x.dims.len()).filter(|_| is_plain)?;
    let inner = x.dims[axis + 1..].to_vec().elements();
    let block = (x.dims[axis] * inner).max(1);
    let before = |place: usize| if place % block >= inner { Some(place - inner) } else { None };
    let data = match &x.data {
        Data::Float(values) => {
            let mut sums = values.clone();
            for place in 0..sums.len() {
                sums[place] += before(place).map_or(0.0, |at| sums[at]);
            }
            Data::Float(sums)
        }
        Data::Whole(_) => {
            let mut sums = x.as_known()?;
            for place in 0..sums.len() {
                sums[place] = sums[place].checked_add(before(place).map_or(0, |at| sums[at]))?;
            }
            Data::Whole(sums.into_iter().map(Extent::Known).collect())
        }
        Data::Other(_) => return None,
    };
    Some(Constant { dims: x.dims.clone(), data })
}

/// `Conv` over two axes.
pub(super) fn conv(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let given = |index: usize| inputs.get(index).copied().flatten();
    let (image, kernel) = (given(0)?, given(1)?);
    let (x, weights) = (image.as_floats()?, kernel.as_floats()?);
    let &[batch, channels, height, width] = image.dims.as_slice() else { return None };
    let &[filters, depth, rows, columns] = kernel.dims.as_slice() else { return None };
    let whole =
        |numbers: &[i64]| numbers.iter().map(|n| usize::try_from(*n).ok()).collect::<Option<Vec<_>>>();
    let setting = |name: &str, default: &[i64]| whole(node.ints(name).unwrap_or(default));
    let groups = usize::try_from(node.int("group").unwrap_or(1)).ok().filter(|groups| *groups > 0)?;
    let (strides, dilations, pads) =
        (setting("strides", &[1, 1])?, setting("dilations", &[1, 1])?, setting("pads", &[0; 4])?);
    let (&[down, across], &[far, wide], &[top, left, bottom, right]) =
        (strides.as_slice(), dilations.as_slice(), pads.as_slice())
    else {
        return None;
    };
    let extent = |own: usize, margins: usize, size: usize, dilation: usize, stride: usize| {
        let reach = size.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        own.checked_add(margins)?.checked_sub(reach)?.checked_div(stride)?.checked_add(1)
    };
    let (high, long) = (
        extent(height, top.checked_add(bottom)?, rows, far, down)?,
        extent(width, left.checked_add(right)?, columns, wide, across)?,
    );
    let dims = vec![batch, filters, high, long];
    let len = product(&dims).filter(|len| *len <= MOST)?;
    let taps = depth.checked_mul(rows)?.checked_mul(columns)?;
    let fits = depth.checked_mul(groups)? == channels
        && filters.is_multiple_of(groups)
        && ["NOTSET", "", "VALID"].contains(&node.text("auto_pad", "NOTSET"))
        && len.checked_mul(taps)? <= MOST_PRODUCTS;
    fits.then_some(())?;
    let mut data = Vec::with_capacity(len);
    for place in 0..len {
        let (column, row) = (place % long, place / long % high);
        let (filter, image) = (place / (long * high) % filters, place / (long * high * filters));
        let first = filter / (filters / groups) * depth;
        let mut sum = f64::from(given(2).map_or(Some(0.0), |bias| bias.as_floats()?.get(filter).copied())?);
        for tap in 0..taps {
            let (i, j) = (tap / columns % rows, tap % columns);
            let (Some(y), Some(z)) =
                ((row * down + i * far).checked_sub(top), (column * across + j * wide).checked_sub(left))
            else {
                continue;
            };
            if y < height && z < width {
                let channel = first + tap / (rows * columns);
                let at = ((image * channels + channel) * height + y) * width + z;
                sum += f64::from(*x.get(at)?) * f64::from(*weights.get(filter * taps + tap)?);
            }
        }
        data.push(sum as f32);
    }
    Some(Constant { dims, data: Data::Float(data) })
}

/// `BatchNormalization`, by its own mean and variance in training mode, as weights are standardised.
pub(super) fn batch_normalization(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let x = inputs.first().copied().flatten()?;
    let values = x.as_floats()?;
    let channels = *x.dims.get(1)?;
    let inner = x.dims.get(2..)?.to_vec().elements();
    let channel_of = |place: usize| place / inner.max(1) % channels.max(1);
    let weight = |index: usize| inputs.get(index).copied().flatten()?.as_floats();
    let (scale, offset) = (weight(1)?, weight(2)?);
    let double = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).collect::<Vec<_>>();
    let (mean, variance) = match node.int("training_mode").unwrap_or(0) {
        0 => (double(weight(3)?), double(weight(4)?)),
        _ => {
            let count = (values.len() / channels.max(1)) as f64;
            let means = |of: &dyn Fn(usize, f64) -> f64| {
                let mut sums = vec![0.0f64; channels];
                for (place, value) in values.iter().enumerate() {
                    let channel = channel_of(place);
                    *sums.get_mut(channel)? += of(channel, f64::from(*value));
                }
                Some(sums.into_iter().map(|sum| sum / count).collect::<Vec<_>>())
            };
            let mean = means(&|_, value| value)?;
            let variance = means(&|channel, value| (value - mean[channel]).powi(2))?;
            (mean, variance)
        }
    };
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let normal = |(place, value): (usize, &f32)| {
        let channel = channel_of(place);
        let unit = (f64::from(*value) - mean.get(channel)?) / (variance.get(channel)? + epsilon).sqrt();
        Some((unit * f64::from(*scale.get(channel)?) + f64::from(*offset.get(channel)?)) as f32)
    };
    let data = values.iter().enumerate().map(normal).collect::<Option<_>>()?;
    Some(Constant { dims: x.dims.clone(), data: Data::Float(data) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::read::node::Attribute;

    fn ramp(dims: &[usize]) -> Constant {
        let len: usize = dims.iter().product();
        Constant::floats(dims, (0..len).map(|place| place as f32).collect())
    }

    #[test]
    fn matrices_are_multiplied_for_each_of_the_outer_axes() {
        let made = matmul(&ramp(&[2, 1, 2, 3]), &ramp(&[3, 1])).expect("fits");
        assert_eq!(
            (made.dims.as_slice(), made.as_floats()),
            (&[2, 1, 2, 1][..], Some(&[5.0, 14.0, 23.0, 32.0][..]))
        );
        assert!(matmul(&ramp(&[2, 3]), &ramp(&[2, 3])).is_none());
    }

    #[test]
    fn letters_that_the_result_has_not_are_summed_over() {
        let equation = Attribute::Text("ij, kj -> ki".to_owned());
        let attributes = [("equation".to_owned(), equation)].into_iter().collect();
        let node = Node { op: "Einsum".to_owned(), attributes, ..Node::default() };
        let made = einsum(&node, &[Some(&ramp(&[2, 3])), Some(&ramp(&[1, 3]))]).expect("fits");
        assert_eq!((made.dims.as_slice(), made.as_floats()), (&[1, 2][..], Some(&[5.0, 14.0][..])));
        assert!(einsum(&node, &[Some(&ramp(&[2, 3])), Some(&ramp(&[1, 2]))]).is_none());
    }

    #[test]
    fn sums_and_shares_run_along_their_axis() {
        let axis = Constant::whole(vec![Extent::Known(0)]);
        let made = cumulative_sum(&Node::default(), &ramp(&[2, 2]), &axis).expect("fits");
        assert_eq!(made.as_floats(), Some(&[0.0, 1.0, 2.0, 4.0][..]));
        let made = softmax(&Constant::floats(&[2, 2], vec![0.0, 7.0, 0.0, 7.0]), 0).expect("fits");
        assert_eq!(made.as_floats(), Some(&[0.5; 4][..]));
    }

    #[test]
    fn a_convolution_of_known_tensors_is_that_of_the_operator() {
        // one filter of ones over each of two channels: sums around every second pixel
        let attributes = [
            ("strides", Attribute::Ints(vec![2, 2])),
            ("pads", Attribute::Ints(vec![1, 1, 1, 1])),
            ("group", Attribute::Int(2)),
        ];
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let node = Node { op: "Conv".to_owned(), attributes, ..Node::default() };
        let kernel = Constant::floats(&[2, 1, 3, 3], vec![1.0; 18]);
        let made = conv(&node, &[Some(&ramp(&[1, 2, 3, 3])), Some(&kernel)]).expect("fits");
        assert_eq!(made.dims, [1, 2, 2, 2]);
        assert_eq!(made.as_floats(), Some(&[8.0, 12.0, 20.0, 24.0, 44.0, 48.0, 56.0, 60.0][..]));
    }

    #[test]
    fn weights_are_standardised_by_their_own_moments() {
        let attributes = [("training_mode", Attribute::Int(1)), ("epsilon", Attribute::Float(0.0))];
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let node = Node { op: "BatchNormalization".to_owned(), attributes, ..Node::default() };
        let (scale, offset) =
            (Constant::floats(&[2], vec![1.0, 2.0]), Constant::floats(&[2], vec![0.0, 1.0]));
        let weights = Constant::floats(&[1, 2, 2], vec![1.0, 3.0, 5.0, 9.0]);
        let made = batch_normalization(&node, &[Some(&weights), Some(&scale), Some(&offset)]).expect("fits");
        assert_eq!(made.as_floats(), Some(&[-1.0, 1.0, -1.0, 3.0][..]));
    }
}
