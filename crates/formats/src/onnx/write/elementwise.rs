//! Layers that go element by element, and cropping.

use super::emit::{Emitter, Value};
use super::layer::{Output, Writer};
use frostline_graph::Result;
use frostline_graph::layers::NamedActivation;

impl Writer<'_> {
    /// Something that goes element by element, in the layout that is there.
    pub(super) fn in_place(
        &mut self,
        path: &str,
        x: &mut Value,
        write: impl FnOnce(&mut Emitter, &str) -> String,
    ) -> Output {
        match x.first.clone() {
            Some(first) => Output::First(write(&mut self.emit, &first)),
            None => {
                let last = self.emit.last(x, path);
                Output::Last(write(&mut self.emit, &last))
            }
        }
    }

    pub(super) fn function(
        &mut self,
        path: &str,
        activation: &NamedActivation,
        x: &mut Value,
    ) -> Result<Output, String> {
        // softmax goes over the last axis
        let input = match x.first.clone().filter(|_| !["softmax", "log_softmax"].contains(&activation.name()))
        {
            Some(first) => return self.emit.activation(path, activation, &first).map(Output::First),
            None => self.emit.last(x, path),
        };
        self.emit.activation(path, activation, &input).map(Output::Last)
    }

    /// `x · scale + offset`: one number for all, or one a channel.
    pub(super) fn scaled(
        &mut self,
        path: &str,
        inputs: &[usize],
        scale: &[f32],
        offset: &[f32],
    ) -> Result<Output, String> {
        let index = inputs.first().copied().ok_or("it is called on nothing")?;
        let neutral = scale.iter().all(|scale| *scale == 1.0) && offset.iter().all(|offset| *offset == 0.0);
        if neutral {
            return Ok(Output::Input(index));
        }
        let mut x = self.values.get(index).cloned().ok_or("it is called on nothing")?;
        let channels = x.channels();
        Ok(match x.first.clone().filter(|_| x.is_image()) {
            Some(first) => Output::First(self.emit.affine(path, &first, &[channels, 1, 1], scale, offset)),
            None => {
                let last = self.emit.last(&mut x, path);
                Output::Last(self.emit.affine(path, &last, &[channels], scale, offset))
            }
        })
    }

    pub(super) fn prelu(&mut self, path: &str, x: &mut Value) -> Result<Output, String> {
        let alpha = self.weight(path, "alpha")?;
        Ok(match x.first.clone().filter(|_| alpha.shape.len() == 3) {
            Some(first) => {
                let turned = alpha.permuted(&[2, 0, 1]).ok_or("its slopes have no such shape")?;
                let alpha = self.emit.floats(&format!("{path}/alpha"), &turned.shape, &turned.data);
                Output::First(self.emit.node(path, "PRelu", &[&first, &alpha], &[]))
            }
            None => {
                let input = self.emit.last(x, path);
                let alpha = self.emit.floats(&format!("{path}/alpha"), &alpha.shape, &alpha.data);
                Output::Last(self.emit.node(path, "PRelu", &[&input, &alpha], &[]))
            }
        })
    }

    pub(super) fn crop(&mut self, path: &str, margins: [[usize; 2]; 2], x: &mut Value) -> Output {
        let [[top, bottom], [left, right]] = margins.map(|sides| sides.map(|side| side as i64));
        let end = |side: i64| if side == 0 { i64::MAX } else { -side };
        let starts = self.emit.whole(&format!("{path}/starts"), &[top, left]);
        let ends = self.emit.whole(&format!("{path}/ends"), &[end(bottom), end(right)]);
        let axes = self.emit.whole(&format!("{path}/axes"), &[2, 3]);
        let input = self.emit.first(x, path);
        Output::First(self.emit.node(path, "Slice", &[&input, &starts, &ends, &axes], &[]))
    }
}
