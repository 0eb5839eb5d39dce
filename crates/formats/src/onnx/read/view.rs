//! Values whose images the file does not count along the first axis, or not alone.
//!
//! Attention over windows counts the windows of all images in one axis, `[batch × windows, tokens, channels]`. Attention of
//! several heads takes queries, keys and values apart in front of the batch, `[3, batch, heads, tokens, channels]`. Here the batch
//! is first and alone: the former is stored as `[batch, windows, tokens, channels]`, and a [`View`] says how the file counts it.

use super::constant::{Data, Extent};
use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::Value;

/// How the file counts the axes of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// So many axes come before the batch's. Here they come behind it.
    pub(super) before: usize,
    /// The axis behind those is counted together with the batch.
    pub(super) windows: bool,
    /// And it is counted first: all images of one window, then all of the next.
    windows_first: bool,
}

/// An extent of a small and of a large image.
type Pair = [usize; 2];

/// A shape as the file counts it: what comes before the batch, what is counted with it, and what comes behind.
#[derive(Clone)]
struct Counted {
    before: Vec<Pair>,
    windows: Pair,
    windows_first: bool,
    behind: Vec<Pair>,
}

impl View {
    /// Whether the batch is the first axis, and alone.
    pub(super) fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// The logical axis that an axis of the file is; none for the batch's.
    pub(super) fn axis(self, in_file: usize) -> Option<usize> {
        match in_file.cmp(&self.before) {
            std::cmp::Ordering::Less => Some(in_file + 1),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(in_file + usize::from(self.windows)),
        }
    }

    /// The view of a value that has lost these axes of the file.
    pub(super) fn without(self, axes: &[usize]) -> Self {
        Self { before: self.before - axes.iter().filter(|axis| **axis < self.before).count(), ..self }
    }
}

impl Counted {
    fn view(&self) -> View {
        let windows = self.windows != [1, 1];
        View { before: self.before.len(), windows, windows_first: windows && self.windows_first }
    }

    /// The same elements in their order, with windows that are counted first as an axis before the batch's.
    fn with_the_batch_first(&self) -> Self {
        let mut before = self.before.clone();
        if !self.windows_first {
            return self.clone();
        }
        before.push(self.windows);
        Self { before, windows: [1, 1], windows_first: false, behind: self.behind.clone() }
    }

    /// The extents of the logical axes, the batch left out.
    fn logical(&self) -> Vec<Pair> {
        let windows = (self.windows != [1, 1]).then_some(self.windows);
        self.before.iter().copied().chain(windows).chain(self.behind.iter().copied()).collect()
    }

    /// The extents by axes of the file; the batch's is the windows that are counted with it.
    fn in_file(&self) -> Vec<Pair> {
        [self.before.as_slice(), &[self.windows], &self.behind].concat()
    }

    /// Of such extents, with the batch at this axis.
    fn of(in_file: &[Pair], batch: usize) -> Option<Self> {
        let (before, rest) = in_file.split_at_checked(batch)?;
        let (windows, behind) = rest.split_first()?;
        let (before, behind) = (before.to_vec(), behind.to_vec());
        Some(Self { before, windows: *windows, windows_first: false, behind })
    }
}

impl Value {
    fn counted(&self) -> Counted {
        let extents = |axes: std::ops::Range<usize>| axes.map(|axis| self.extents(axis)).collect();
        let View { before, windows, windows_first } = self.view;
        let batch = before + 1;
        Counted {
            before: extents(1..batch),
            windows: if windows { self.extents(batch) } else { [1, 1] },
            windows_first,
            behind: extents(batch + usize::from(windows)..self.rank()),
        }
    }

    /// The shape as the file counts it, as `Shape` gives it.
    pub(super) fn shape(&self) -> Vec<Extent> {
        let extent = |(axis, [small, large]): (usize, Pair)| match axis == self.view.before {
            _ if small != large => Extent::Open,
            true => Extent::Batch(small as i64),
            false => Extent::Known(small as i64),
        };
        self.counted().in_file().into_iter().enumerate().map(extent).collect()
    }

    /// The number of axes that the file has.
    pub(super) fn rank_in_file(&self) -> usize {
        self.rank() - usize::from(self.view.windows)
    }
}

impl Converter<'_> {
    pub(super) fn transpose(&mut self, node: &Node) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let rank = x.rank_in_file();
        let order: Vec<usize> = match node.ints("perm") {
            Some(order) => order
                .iter()
                .map(|axis| fold::axis_of(*axis, rank))
                .collect::<Option<_>>()
                .ok_or("its order names axes that are not there")?,
            None => (0..rank).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(format!("it orders the axes {order:?}, which are not all"));
        }
        let before = order.iter().position(|axis| *axis == x.view.before).unwrap_or(0);
        let view = View { before, ..x.view };
        let windows = x.view.before + 1;
        let logical = |axis: &usize| x.view.axis(*axis).unwrap_or(windows);
        let axes = std::iter::once(0)
            .chain(order.iter().filter(|axis| x.view.windows || **axis != x.view.before).map(logical))
            .map(|axis| x.axes.get(axis).copied())
            .collect::<Option<_>>();
        Ok(Value { axes: axes.ok_or("its axes are not there")?, view, ..x })
    }

    pub(super) fn flatten(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let from = fold::axis_of(node.int("axis").unwrap_or(1), x.rank_in_file() + 1);
        let from = from.ok_or("its axis is none of its input's")?;
        let own = x.counted().in_file();
        let (batch, rest) = own.split_at(from);
        let (Some(batch), Some(rest), 0, 1..) = (product(batch), product(rest), x.view.before, from) else {
            return Err(format!("it flattens from axis {from} on: the images of a batch must stay apart"));
        };
        if x.view.windows_first {
            return Err("it flattens images that are counted behind their windows".to_owned());
        }
        let target = Counted { before: Vec::new(), windows: batch, windows_first: false, behind: vec![rest] };
        self.recounted(&x, name, target)
    }

    pub(super) fn reshape(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let target = self.known(node, 1).ok_or_else(|| self.unknown(node, 1, "target extents"))?;
        let Data::Whole(target) = &target.data else {
            return Err("its target shape is no list of whole numbers".to_owned());
        };
        let copies = node.int("allowzero").unwrap_or(0) == 0;
        let own = x.shape();
        let target: Vec<Extent> = target
            .iter()
            .enumerate()
            .map(|(axis, extent)| match extent {
                Extent::Known(0) if copies => own.get(axis).copied(),
                Extent::Known(-1) => Some(Extent::Open),
                Extent::Known(..0) => None,
                other => Some(*other),
            })
            .collect::<Option<_>>()
            .ok_or("its target shape is damaged, or copies an extent that is not there")?;
        let counted = x.counted().with_the_batch_first();
        let found = self.batch_axes(&target).into_iter().find_map(|(batch, windows)| {
            let placed = |windows_first| placed(&counted, &target, batch, windows, windows_first);
            placed(false).or_else(|| placed(true))
        });
        let Some(found) = found else {
            let open = target.iter().filter(|extent| **extent == Extent::Open).count();
            return Err(match open > 1 {
                true => {
                    "its target shape depends on the size of the image: export the model with a fixed size"
                        .to_owned()
                }
                false => format!("it reshapes {own:?} to {target:?}: the images of a batch must stay apart"),
            });
        };
        self.recounted(&x, name, found)
    }

    pub(super) fn squeeze(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let (own, batch) = (x.counted().in_file(), x.view.before);
        let axes = match fold::axes(node, self.known(node, 1).as_deref()) {
            Some(axes) => axes
                .iter()
                .map(|axis| fold::axis_of(*axis, own.len()))
                .collect::<Option<Vec<_>>>()
                .ok_or("its axes are not there")?,
            None => (0..own.len()).filter(|axis| *axis != batch && own.get(*axis) == Some(&[1, 1])).collect(),
        };
        if axes.iter().any(|axis| *axis == batch || own.get(*axis) != Some(&[1, 1])) {
            return Err(format!(
                "it drops the axes {axes:?}, of which one is the batch or has several elements"
            ));
        }
        let left = own.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        let left: Vec<Pair> = left.map(|(_, pair)| *pair).collect();
        let target = Counted::of(&left, x.view.without(&axes).before).ok_or("its axes are not there")?;
        self.recounted(&x, name, Counted { windows_first: x.view.windows_first, ..target })
    }

    pub(super) fn unsqueeze(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let axes = fold::axes(node, self.known(node, 1).as_deref()).ok_or("its axes are not known")?;
        let own = x.counted().in_file();
        let rank = own.len() + axes.len();
        let axes: Vec<usize> = axes
            .iter()
            .map(|axis| fold::axis_of(*axis, rank))
            .collect::<Option<_>>()
            .ok_or("its axes are not there")?;
        let mut places = (0..rank).filter(|axis| !axes.contains(axis));
        let batch = places.nth(x.view.before).ok_or("its axes are named twice")?;
        let mut rest = own.iter().copied();
        let extent = |axis: usize| if axes.contains(&axis) { Some([1, 1]) } else { rest.next() };
        let target: Vec<Pair> =
            (0..rank).map(extent).collect::<Option<_>>().ok_or("its axes are named twice")?;
        let target = Counted::of(&target, batch).ok_or("its axes are not there")?;
        self.recounted(&x, name, Counted { windows_first: x.view.windows_first, ..target })
    }

    /// The value in another shape.
    fn recounted(&mut self, x: &Value, name: &str, target: Counted) -> Result<Value, String> {
        let made = x.reshaped(&mut self.builder, name, &target.logical())?;
        let made = match self.turned && made.rank() == 4 && x.rank() == 2 {
            // a row that becomes an image has it in the order of the file
            true => made.arranged(&mut self.builder, name, &super::value::IMAGE)?,
            false => made,
        };
        Ok(Value { view: target.view(), ..made })
    }

    /// Axes of a target shape that may be the batch's, the most likely first, with how many windows are counted with it, where
    /// that is known: extents that are said to be, the number of images that a tracer has put in for them, what is left over,
    /// and multiples of that number.
    fn batch_axes(&self, target: &[Extent]) -> Vec<(usize, Option<usize>)> {
        let traced: Vec<i64> = self.source.inputs.iter().filter_map(|input| input.batch).collect();
        let all = || target.iter().copied().enumerate();
        let windows = |number: i64| usize::try_from(number).ok();
        let said: Vec<_> = all()
            .filter_map(|(axis, extent)| match extent {
                Extent::Batch(number) => Some((axis, windows(number))),
                _ => None,
            })
            .collect();
        if !said.is_empty() {
            return said;
        }
        // one image in front is one that a file with an open batch was traced with
        let is_traced = |axis: usize, number: i64| traced.contains(&number) || (axis, number) == (0, 1);
        let exact = all()
            .filter(|(axis, extent)| matches!(extent, Extent::Known(number) if is_traced(*axis, *number)));
        let open = || all().filter(|(_, extent)| *extent == Extent::Open);
        let multiples = all().filter_map(|(axis, extent)| match extent {
            Extent::Known(number) => {
                let batch = traced.iter().find(|batch| number.checked_rem(**batch) == Some(0))?;
                Some((axis, windows(number / batch)))
            }
            _ => None,
        });
        exact
            .map(|(axis, _)| (axis, Some(1)))
            .chain(open().map(|(axis, _)| (axis, None)))
            .chain(open().map(|(axis, _)| (axis, Some(1))))
            .chain(multiples)
            .collect()
    }
}

/// The target with the batch at this axis and so many windows counted with it, where it holds the elements of `own`: those
/// before the batch before it, those behind it behind it. Windows that are counted first hold the last of those before it.
/// `None` where it does not.
fn placed(
    own: &Counted,
    target: &[Extent],
    batch: usize,
    windows: Option<usize>,
    windows_first: bool,
) -> Option<Counted> {
    let known = |(axis, extent): (usize, &Extent)| match extent {
        _ if axis == batch => windows.map(|windows| [windows; 2]),
        Extent::Known(number) => usize::try_from(*number).ok().map(|number| [number; 2]),
        _ => None,
    };
    let mut extents: Vec<Option<Pair>> = target.iter().enumerate().map(known).collect();
    let middle = batch + usize::from(windows_first);
    let sides = |extents: &[Option<Pair>]| {
        let side = |part: &[Option<Pair>]| product(part.iter().flatten());
        let (before, behind) = extents.split_at_checked(middle)?;
        Some([side(before)?, side(behind)?])
    };
    let all = [product(&own.before)?, product(std::iter::once(&own.windows).chain(&own.behind))?];
    let known = sides(&extents)?;
    let unknown: Vec<usize> = (0..extents.len()).filter(|axis| extents.get(*axis) == Some(&None)).collect();
    match unknown.as_slice() {
        [] => {}
        [axis] => {
            let side = usize::from(*axis >= middle);
            let rest = |size: usize| all[side][size].checked_div(known[side][size]);
            *extents.get_mut(*axis)? = Some([rest(0)?, rest(1)?]);
        }
        _ => return None,
    }
    if sides(&extents)? != all {
        return None;
    }
    let counted = Counted::of(&extents.into_iter().collect::<Option<Vec<_>>>()?, batch)?;
    Some(Counted { windows_first, ..counted })
}

fn product<'a>(extents: impl IntoIterator<Item = &'a Pair>) -> Option<Pair> {
    extents
        .into_iter()
        .try_fold([1usize; 2], |all, next| Some([all[0].checked_mul(next[0])?, all[1].checked_mul(next[1])?]))
}
