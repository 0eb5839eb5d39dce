//! `as_strided` of PyTorch's dynamo exporter: a list of all elements and the places of those that are wanted, computed from
//! the number of images. Where those are all of them in their order, as behind a mean over the image, it is a reshape.

use crate::onnx::read::constant::{Constant, Data, Extent};
use crate::onnx::read::node::Node;
use crate::onnx::read::source::Source;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The places are computed for so many images.
const IMAGES: i64 = 3;
/// No computation of places is deeper.
const DEPTH: usize = 64;

/// Replaces each `Gather` of all elements in their order by a `Reshape`.
pub(super) fn strided(source: &mut Source) {
    let producers = source.producers();
    for index in 0..source.nodes.len() {
        let Some((x, shape)) = (Places { source, producers: &producers }).reshape(&source.nodes[index])
        else {
            continue;
        };
        let name = format!("{}.shape", source.nodes[index].output());
        source.constants.insert(name.clone(), Rc::new(Constant::whole(shape)));
        let node = &mut source.nodes[index];
        (node.op, node.inputs) = ("Reshape".to_owned(), vec![x, name]);
        node.attributes.clear();
    }
    source.prune();
}

struct Places<'a> {
    source: &'a Source,
    producers: &'a BTreeMap<String, usize>,
}

impl Places<'_> {
    fn node(&self, value: &str) -> Option<&Node> {
        self.source.nodes.get(*self.producers.get(value)?)
    }

    fn reshape(&self, node: &Node) -> Option<(String, Vec<Extent>)> {
        (node.op == "Gather" && node.int("axis").unwrap_or(0) == 0).then_some(())?;
        let list = self.node(node.input(0)?).filter(|list| list.op == "Reshape")?;
        (self.source.constant(list.input(1)?)?.as_known()? == [-1]).then_some(())?;
        let places = self.value(node.input(1)?, DEPTH, &mut BTreeMap::new())?;
        let (batch, rest) = places.dims.split_first()?;
        let in_order = places.as_known()?.into_iter().eq(0..places.len() as i64);
        (*batch as i64 == IMAGES && in_order).then_some(())?;
        let rest = rest.iter().map(|extent| Extent::Known(*extent as i64));
        Some((list.input(0)?.to_owned(), std::iter::once(Extent::Batch(1)).chain(rest).collect()))
    }

    /// What a value is for that many images, if it depends on nothing else. `known`: what was looked at; a value that is read twice, by
    /// what is read twice, and so on, would be computed for ever.
    fn value(
        &self,
        name: &str,
        depth: usize,
        known: &mut BTreeMap<String, Option<Rc<Constant>>>,
    ) -> Option<Rc<Constant>> {
        if let Some(constant) = self.source.constant(name) {
            return Some(constant.clone());
        }
        if let Some(found) = known.get(name) {
            return found.clone();
        }
        let found = self.computed(name, depth, known).map(Rc::new);
        known.insert(name.to_owned(), found.clone());
        found
    }

    fn computed(
        &self,
        name: &str,
        depth: usize,
        known: &mut BTreeMap<String, Option<Rc<Constant>>>,
    ) -> Option<Constant> {
        let node = self.node(name).filter(|_| depth > 0)?;
        if node.op == "Shape" {
            let input = self.source.inputs.iter().find(|input| Some(input.name.as_str()) == node.input(0))?;
            let all: Vec<Extent> =
                std::iter::once(Extent::Known(IMAGES)).chain(input.extents.iter().copied()).collect();
            let whole_attribute =
                |name: &str, otherwise: i64| usize::try_from(node.int(name).unwrap_or(otherwise)).ok();
            let (start, end) =
                (whole_attribute("start", 0)?, whole_attribute("end", all.len() as i64)?.min(all.len()));
            return Some(Constant {
                dims: vec![end.checked_sub(start)?],
                data: Data::Whole(all.get(start..end)?.to_vec()),
            });
        }
        let inputs: Vec<Option<Rc<Constant>>> = (0..node.inputs.len())
            .map(|index| match node.input(index) {
                None => Some(None),
                Some(name) => self.value(name, depth - 1, known).map(Some),
            })
            .collect::<Option<_>>()?;
        let inputs: Vec<Option<&Constant>> = inputs.iter().map(Option::as_deref).collect();
        self.source.budget.evaluate(node, &inputs)
    }
}
