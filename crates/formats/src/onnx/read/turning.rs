//! Layers that run along one axis, or over two, of a value whose axes lie otherwise: it is turned for them, and back.

use super::convert::Converter;
use super::value::{IMAGE, Value};

impl Converter<'_> {
    /// A layer that runs along this logical axis, which it finds last. Its result is stored as the value was, so that an image
    /// stays one.
    pub(super) fn along(
        &mut self,
        x: Value,
        axis: usize,
        name: &str,
        make: impl FnOnce(&mut Self, &Value) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let x = x.in_order(&mut self.builder, name)?;
        if x.last() == axis {
            return make(self, &x);
        }
        if axis == 0 {
            return Err("it runs over the images of a batch".to_owned());
        }
        // the others in their order
        let own = x.axes.get(axis).copied().unwrap_or(0);
        let last = x.rank() - 1;
        let moved = |stored: &usize| match *stored {
            stored if stored == own => last,
            stored if stored > own => stored - 1,
            stored => stored,
        };
        let axes: Vec<usize> = x.axes.iter().map(moved).collect();
        let turned = x.arranged(&mut self.builder, name, &axes)?;
        let made = make(self, &turned)?;
        made.arranged(&mut self.builder, name, &x.axes)
    }

    /// A value of four axes with the logical axes that are chosen in front, as rows and columns, where they are not.
    pub(super) fn with_pixels_in_front(
        &mut self,
        x: Value,
        name: &str,
        is_chosen: impl Fn(usize) -> bool,
    ) -> Result<Value, String> {
        let chosen: Vec<usize> = (1..x.rank()).filter(|axis| is_chosen(*axis)).collect();
        let are_in_front = chosen.iter().all(|axis| x.axes.get(*axis).is_some_and(|stored| *stored < 3));
        match x.rank() == 4 && !are_in_front && chosen.iter().all(|axis| *axis > 1) {
            true => x.arranged(&mut self.builder, name, &IMAGE),
            false => x.arranged(&mut self.builder, name, &x.axes),
        }
    }
}
