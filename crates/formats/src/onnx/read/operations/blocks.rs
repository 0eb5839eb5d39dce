//! Blocks of pixels as channels, and back.

use crate::onnx::read::convert::Converter;
use crate::onnx::read::node::Node;
use crate::onnx::read::value::Value;

impl Converter<'_> {
    pub(in crate::onnx::read) fn depth_to_space(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let (x, block, [channels, height, width]) = self.blocks(node, name)?;
        let rest = channels / (block * block);
        let (split, order): ([usize; 5], [usize; 6]) = match node.text("mode", "DCR") {
            "DCR" => ([block, block, rest, height, width], [0, 3, 4, 1, 5, 2]),
            "CRD" => ([rest, block, block, height, width], [0, 1, 4, 2, 5, 3]),
            other => return Err(format!("its mode is `{other}`")),
        };
        self.rearranged(&x, name, &split, &order, &[rest, height * block, width * block])
    }

    pub(in crate::onnx::read) fn space_to_depth(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let (x, block, [channels, height, width]) = self.blocks(node, name)?;
        let (rows, columns) = (height / block, width / block);
        let target = [channels * block * block, rows, columns];
        self.rearranged(&x, name, &[channels, rows, block, columns, block], &[0, 3, 5, 1, 2, 4], &target)
    }

    pub(in crate::onnx::read) fn blocks(
        &mut self,
        node: &Node,
        name: &str,
    ) -> Result<(Value, usize, [usize; 3]), String> {
        let x = self.image(node, name)?;
        let block = node
            .int("blocksize")
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=1 << 10).contains(size));
        let extents = [1, 2, 3].map(|axis| x.extents(axis));
        if extents.iter().any(|[small, large]| small != large) {
            return Err("the size of its image is open: export the model with a fixed size".to_owned());
        }
        Ok((x, block.ok_or("it has no size of its blocks")?, extents.map(|[extent, _]| extent)))
    }

    /// The value with its logical axes taken apart, in another order, and put together.
    pub(in crate::onnx::read) fn rearranged(
        &mut self,
        x: &Value,
        name: &str,
        split: &[usize],
        order: &[usize],
        target: &[usize],
    ) -> Result<Value, String> {
        let pairs = |extents: &[usize]| extents.iter().map(|extent| [*extent; 2]).collect::<Vec<_>>();
        let apart = x.reshaped(&mut self.builder, &format!("{name}.split"), &pairs(split))?;
        let moved = order.iter().map(|axis| apart.axes.get(*axis).copied()).collect::<Option<Vec<_>>>();
        let moved = Value { axes: moved.ok_or("its axes are not there")?, ..apart };
        moved.reshaped(&mut self.builder, name, &pairs(target))
    }
}
