//! Images at another size.

use super::emit::{Attribute, Emitter};
use frostline_graph::ops::ResizeMethod;

impl Emitter {
    /// An image of any size at this one. `x`: channels first.
    pub(super) fn resize(&mut self, path: &str, x: &str, size: [usize; 2], method: ResizeMethod) -> String {
        let extents = self.whole(&format!("{path}/size"), &size.map(|extent| extent as i64));
        self.resize_to(path, x, &extents, &interpolation(method))
    }

    /// The same, with the height and width by the name of a value.
    pub(super) fn resize_to(
        &mut self,
        path: &str,
        x: &str,
        extents: &str,
        interpolation: &[(&str, Attribute<'_>)],
    ) -> String {
        let shape = self.node(path, "Shape", &[x], &[("end", Attribute::Int(2))]);
        let sizes = self.node(path, "Concat", &[&shape, extents], &[("axis", Attribute::Int(0))]);
        self.node(path, "Resize", &[x, "", "", &sizes], interpolation)
    }
}

/// How `Resize` makes new pixels, as Keras does: half-pixel centres, no antialiasing.
pub(super) fn interpolation(method: ResizeMethod) -> Vec<(&'static str, Attribute<'static>)> {
    let centres = ("coordinate_transformation_mode", Attribute::Text("half_pixel"));
    match method {
        ResizeMethod::Bilinear => vec![("mode", Attribute::Text("linear")), centres],
        ResizeMethod::Nearest => {
            vec![
                ("mode", Attribute::Text("nearest")),
                centres,
                ("nearest_mode", Attribute::Text("round_prefer_ceil")),
            ]
        }
    }
}
