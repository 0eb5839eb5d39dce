//! A frozen prefix that is compiled already is taken again, and never where one of its weights was set since.

use crate::task::{IMAGE, backbone};
use frostline::PrefixDType;
use frostline::compile::{Frozen, Prefixes};
use frostline::graph::{Freeze, Model};
use std::sync::Arc;

fn frozen(known: &Prefixes, model: &Model, layers: &[&str], dtype: &PrefixDType) -> Arc<Frozen> {
    let freeze = Freeze::exactly(&model.graph, layers).expect("layers that are there");
    known.compile_frozen(dtype, model, &freeze, &[IMAGE.to_vec()]).expect("a prefix")
}

#[test]
fn a_prefix_is_compiled_once_and_again_where_a_weight_was_set() {
    let model = backbone();
    let lower = ["conv2d", "batch_normalization"];
    let first = frozen(&Prefixes::default(), &model, &lower, &PrefixDType::F32);
    let known = Prefixes::from_iter([first.clone()]);
    let compile = |layers: &[&str], dtype| frozen(&known, &model, layers, &dtype);
    assert!(Arc::ptr_eq(&first, &compile(&lower, PrefixDType::F32)));
    assert!(!Arc::ptr_eq(&first, &compile(&lower[..1], PrefixDType::F32)), "another prefix");
    assert!(!Arc::ptr_eq(&first, &compile(&lower, PrefixDType::Bf16)), "another dtype");

    // a weight above the boundary does not matter
    let set = |path: &str, by: f32| {
        let weight = model.weights.get(path).expect("a weight");
        weight.set(&weight.get().data.iter().map(|value| value + by).collect::<Vec<_>>());
    };
    set("dense/kernel", 1.0);
    assert!(Arc::ptr_eq(&first, &compile(&lower, PrefixDType::F32)));

    // one below it does, and what is cached under the prefix is found again only where the numbers are the same
    set("batch_normalization/moving_mean", 0.0);
    let same_numbers = compile(&lower, PrefixDType::F32);
    assert!(!Arc::ptr_eq(&first, &same_numbers));
    assert!(first.outputs().eq(same_numbers.outputs()));
    set("batch_normalization/moving_mean", 1.0);
    let others = compile(&lower, PrefixDType::F32);
    assert!(!first.outputs().eq(others.outputs()));
}

/// A weight that training sets is another from then on, for all models that share it.
#[test]
fn each_value_of_a_weight_has_its_version() {
    let model = backbone();
    let weight = model.weights.get("conv2d/kernel").expect("a weight");
    let (before, shared) = (weight.version(), weight.clone());
    assert_eq!(shared.version(), before);
    assert_ne!(weight.copy().version(), before);
    weight.set(&weight.get().data);
    assert_ne!(weight.version(), before);
    assert_eq!(shared.version(), weight.version());
}
