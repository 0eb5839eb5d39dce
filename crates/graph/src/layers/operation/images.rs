//! Operations on images: pooling, sizes, margins, grey values.

use super::given::Given;
use crate::Result;
use crate::Tensor;
use crate::ops::{Crop, Pad, Padding, Pool, PoolKind, Product, Resize, ResizeMethod, Sliding, ValueId};

type Values = Result<Vec<ValueId>>;

fn image(given: &Given<'_, '_>, name: &str) -> Result<(ValueId, [usize; 3])> {
    given.channels_last()?;
    let x = given.tensor(name)?;
    let shape = <[usize; 3]>::try_from(given.shape(x));
    shape
        .map(|shape| (x, shape))
        .map_err(|_| given.error("it is called on no image of height, width and channels"))
}

/// One whole number for both directions, or two.
fn pair(given: &Given<'_, '_>, name: &str) -> Result<Option<[usize; 2]>> {
    let wrong = || given.error(format!("its `{name}` is neither one size nor two"));
    let size = |number: i64| usize::try_from(number).ok().filter(|size| *size > 0).ok_or_else(wrong);
    match given.wholes(name)?.as_deref() {
        None => Ok(None),
        Some([one]) => Ok(Some([size(*one)?; 2])),
        Some([height, width]) => Ok(Some([size(*height)?, size(*width)?])),
        Some(_) => Err(wrong()),
    }
}

pub(super) fn max_pool(given: &mut Given<'_, '_>) -> Values {
    pool(given, PoolKind::Max)
}

pub(super) fn average_pool(given: &mut Given<'_, '_>) -> Values {
    pool(given, PoolKind::Average)
}

fn pool(given: &mut Given<'_, '_>, kind: PoolKind) -> Values {
    let (x, _) = image(given, "inputs")?;
    let size = pair(given, "pool_size")?.ok_or_else(|| given.error("its window has no size"))?;
    let strides = pair(given, "strides")?.unwrap_or(size);
    let padding = match given.text("padding", "valid") {
        "valid" => Padding::Valid,
        "same" => Padding::Same,
        other => return Err(given.error(format!("its padding is `{other}`"))),
    };
    Ok(vec![given.push(Pool { kind, size, sliding: Sliding { strides, dilation: [1, 1], padding } }, &[x])?])
}

/// To a fixed size, without smoothing.
pub(super) fn resize(given: &mut Given<'_, '_>) -> Values {
    let (x, _) = image(given, "images")?;
    let [height, width] = pair(given, "size")?.ok_or_else(|| given.error("it has no size"))?;
    if ["antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio"].iter().any(|name| given.flag(name)) {
        return Err(given.error("it smooths, crops or pads what it resizes, which is not run"));
    }
    let method = match given.text("interpolation", "bilinear") {
        "nearest" => ResizeMethod::Nearest,
        "bilinear" => ResizeMethod::Bilinear,
        other => {
            return Err(
                given.error(format!("its interpolation is `{other}`, where nearest and bilinear are run"))
            );
        }
    };
    Ok(vec![given.push(Resize { height, width, method }, &[x])?])
}

/// What is taken off or put on: given for both ends, or for one of them with the size that results.
fn margins(
    given: &Given<'_, '_>,
    ends: [&str; 2],
    target: &str,
    extent: usize,
    grows: bool,
) -> Result<[usize; 2]> {
    let named = |name: &str| -> Result<Option<usize>> {
        Ok(given.whole(name)?.and_then(|margin| usize::try_from(margin).ok()))
    };
    let (before, behind, target) = (named(ends[0])?, named(ends[1])?, named(target)?);
    let both =
        target.and_then(|target| if grows { target.checked_sub(extent) } else { extent.checked_sub(target) });
    let rest = |known: usize| both.and_then(|both| both.checked_sub(known));
    let found = match (before, behind) {
        (Some(before), Some(behind)) => Some([before, behind]),
        (Some(before), None) => rest(before).map(|behind| [before, behind]),
        (None, Some(behind)) => rest(behind).map(|before| [before, behind]),
        (None, None) => both.map(|both| [both / 2, both - both / 2]),
    };
    found.ok_or_else(|| given.error(format!("its `{}`, `{}` and size do not fit together", ends[0], ends[1])))
}

pub(super) fn crop(given: &mut Given<'_, '_>) -> Values {
    let (x, [height, width, _]) = image(given, "images")?;
    let rows = margins(given, ["top_cropping", "bottom_cropping"], "target_height", height, false)?;
    let columns = margins(given, ["left_cropping", "right_cropping"], "target_width", width, false)?;
    Ok(vec![given.push(Crop { margins: [rows, columns] }, &[x])?])
}

pub(super) fn pad(given: &mut Given<'_, '_>) -> Values {
    let (x, [height, width, _]) = image(given, "images")?;
    let rows = margins(given, ["top_padding", "bottom_padding"], "target_height", height, true)?;
    let columns = margins(given, ["left_padding", "right_padding"], "target_width", width, true)?;
    Ok(vec![given.push(Pad { margins: [rows, columns] }, &[x])?])
}

/// The grey of red, green and blue by ITU-R BT.601, as TensorFlow rounds its factors.
pub(super) fn grayscale(given: &mut Given<'_, '_>) -> Values {
    let (x, [height, width, channels]) = image(given, "images")?;
    if channels != 3 {
        return Err(given
            .error(format!("it is called on {channels} channels, where red, green and blue are expected")));
    }
    let pixels = given.reshape(x, &[height * width, 3])?;
    let factors = given.constant(Tensor { shape: vec![3, 1], data: vec![0.2989, 0.587, 0.114] })?;
    let grey = given.push(Product { transposed: false }, &[pixels, factors])?;
    Ok(vec![given.reshape(grey, &[height, width, 1])?])
}
