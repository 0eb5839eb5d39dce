//! Operators that count the axes of a value anew: no number moves before something wants it elsewhere.

use super::constant::{Data, Extent};
use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::{IMAGE, Value};
use super::view::{Counted, Pair, View, placed, product};

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
            true => made.arranged(&mut self.builder, name, &IMAGE)?,
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
