//! Values whose images the file does not count along the first axis, or not alone.
//!
//! Attention over windows counts the windows of all images in one axis, `[batch × windows, tokens, channels]`. Attention of
//! several heads takes queries, keys and values apart in front of the batch, `[3, batch, heads, tokens, channels]`. Here the batch
//! is first and alone: the former is stored as `[batch, windows, tokens, channels]`, and a [`View`] says how the file counts it.

use super::constant::Extent;

/// How the file counts the axes of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// So many axes come before the batch's. Here they come behind it.
    pub(super) before: usize,
    /// The axis behind those is counted together with the batch.
    pub(super) windows: bool,
    /// And it is counted first: all images of one window, then all of the next.
    pub(super) windows_first: bool,
}

/// An extent of a small and of a large image.
pub(super) type Pair = [usize; 2];

/// A shape as the file counts it: what comes before the batch, what is counted with it, and what comes behind.
#[derive(Clone)]
pub(super) struct Counted {
    pub(super) before: Vec<Pair>,
    pub(super) windows: Pair,
    pub(super) windows_first: bool,
    pub(super) behind: Vec<Pair>,
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
    pub(super) fn view(&self) -> View {
        let windows = self.windows != [1, 1];
        View { before: self.before.len(), windows, windows_first: windows && self.windows_first }
    }

    /// The same elements in their order, with windows that are counted first as an axis before the batch's.
    pub(super) fn with_the_batch_first(&self) -> Self {
        let mut before = self.before.clone();
        if !self.windows_first {
            return self.clone();
        }
        before.push(self.windows);
        Self { before, windows: [1, 1], windows_first: false, behind: self.behind.clone() }
    }

    /// The extents of the logical axes, the batch left out.
    pub(super) fn logical(&self) -> Vec<Pair> {
        let windows = (self.windows != [1, 1]).then_some(self.windows);
        self.before.iter().copied().chain(windows).chain(self.behind.iter().copied()).collect()
    }

    /// The extents by axes of the file; the batch's is the windows that are counted with it.
    pub(super) fn in_file(&self) -> Vec<Pair> {
        [self.before.as_slice(), &[self.windows], &self.behind].concat()
    }

    /// Of such extents, with the batch at this axis.
    pub(super) fn of(in_file: &[Pair], batch: usize) -> Option<Self> {
        let (before, rest) = in_file.split_at_checked(batch)?;
        let (windows, behind) = rest.split_first()?;
        let (before, behind) = (before.to_vec(), behind.to_vec());
        Some(Self { before, windows: *windows, windows_first: false, behind })
    }
}

/// The target with the batch at this axis and so many windows counted with it, where it holds the elements of `own`: those
/// before the batch before it, those behind it behind it. Windows that are counted first hold the last of those before it.
/// `None` where it does not.
pub(super) fn placed(
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

pub(super) fn product<'a>(extents: impl IntoIterator<Item = &'a Pair>) -> Option<Pair> {
    extents
        .into_iter()
        .try_fold([1usize; 2], |all, next| Some([all[0].checked_mul(next[0])?, all[1].checked_mul(next[1])?]))
}
