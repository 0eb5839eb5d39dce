//! What is kept of a model computes what the model computed there, and what is put on top stands on it.

use crate::golden::{bits, load, models, outputs, tapped};
use frostline::graph::{Keep, Model, Transfer};
use frostline::layers::parse_head;

fn kept(model: &Model, keep: &Keep) -> Model {
    model
        .keep_with(keep, Transfer::Copy)
        .unwrap_or_else(|error| panic!("{keep:?} of {}: {error}", model.graph.name))
}

#[test]
fn a_kept_model_gives_what_the_whole_one_gives_at_the_cut() {
    let mut nested = 0;
    for (name, model) in models() {
        for cut in model.graph.cut_points() {
            let whole = Model { graph: tapped(&model.graph, &cut), ..model.copy() };
            let expected = outputs(&whole).pop().expect("the tapped output");
            let lower = kept(&model, &Keep::Layer(cut.clone()));
            assert_eq!(lower.graph.outputs.len(), 1);
            assert!(bits(&outputs(&lower)) == bits(&[expected]), "{name} cut at {cut}");
            nested += usize::from(cut.contains('/'));
        }
    }
    assert!(nested > 20, "only {nested} cuts in nested models");
}

#[test]
fn a_path_and_a_count_from_either_end_keep_the_same() {
    for (name, model) in models() {
        let (counted, cuts) = (model.graph.counted_paths(), model.graph.cut_points());
        for (index, path) in counted.iter().enumerate() {
            let keeps = [Keep::Lowest(index + 1), Keep::AllBut(counted.len() - index - 1)];
            let is_whole = index + 1 == counted.len();
            for keep in &keeps {
                if !cuts.contains(path) && !is_whole {
                    let error = model.keep_with(keep, Transfer::Copy).expect_err("no cut").to_string();
                    assert!(
                        error.contains(&format!("`{path}`")) && error.contains("\nhelp: cut at `"),
                        "{name}: {error}"
                    );
                    continue;
                }
                if !cuts.contains(path) {
                    continue; // the last layer of a model with several outputs
                }
                let (by_path, by_count) = (kept(&model, &Keep::Layer(path.clone())), kept(&model, keep));
                let same = bits(&outputs(&by_path)) == bits(&outputs(&by_count));
                assert!(same, "{name}: {keep:?} and `{path}` keep different things");
                if *keep != Keep::AllBut(0) {
                    assert_eq!(
                        by_path.graph.counted_paths(),
                        by_count.graph.counted_paths(),
                        "{name}: {keep:?}"
                    );
                    assert_eq!(by_path.weights.len(), by_count.weights.len(), "{name}: {keep:?}");
                }
            }
        }
    }
}

#[test]
fn only_the_weights_of_the_kept_layers_are_kept() {
    for (name, model) in models() {
        let Some(cut) = model.graph.cut_points().into_iter().next() else { continue };
        let lower = kept(&model, &Keep::Layer(cut));
        let wanted = lower.graph.weight_specs(&lower.graph.stand_in_shapes()).expect("known weights");
        let wanted: Vec<String> = wanted.into_iter().map(|wanted| wanted.path).collect();
        let mut wanted = wanted;
        wanted.sort();
        let found: Vec<&str> = lower.weights.iter().map(|(path, _)| path).collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn counts_that_leave_nothing_or_more_than_there_is_are_errors() {
    let model = load("keras/dense.keras");
    let layers = model.graph.counted_paths().len();
    for keep in [Keep::Lowest(layers + 1), Keep::AllBut(layers), Keep::AllBut(layers + 7)] {
        let error = model.keep_with(&keep, Transfer::Copy).expect_err("an error").to_string();
        assert!(error.contains(&format!("help: keep between 1 and {layers}")), "{error}");
    }
    assert!("0".parse::<Keep>().is_err());
    assert_eq!("-2".parse::<Keep>().ok(), Some(Keep::AllBut(2)));
    assert_eq!("3".parse::<Keep>().ok(), Some(Keep::Lowest(3)));
    assert_eq!("a/b".parse::<Keep>().ok(), Some(Keep::Layer("a/b".to_owned())));
}

#[test]
fn a_name_that_is_nearly_right_is_suggested() {
    let model = load("keras/dense.keras");
    for (wrong, right) in [("dense_9", "dense_"), ("dens", "dense"), ("Dense", "dense")] {
        let error = model
            .keep_with(&Keep::Layer(wrong.to_owned()), Transfer::Copy)
            .expect_err("an error")
            .to_string();
        assert!(
            error.contains(&format!("`{wrong}`")) && error.contains(&format!("did you mean `{right}")),
            "{error}"
        );
    }
    let nested = load("keras/nested_in_sequential.keras");
    let path = nested.graph.cut_points().into_iter().find(|path| path.contains('/')).expect("a nested cut");
    let wrong = &path[..path.len() - 1];
    let error =
        nested.keep_with(&Keep::Layer(wrong.to_owned()), Transfer::Copy).expect_err("an error").to_string();
    assert!(error.contains("did you mean `"), "{error}");
}

#[test]
fn by_default_all_but_the_output_layer_and_its_activation_is_kept() {
    let cut = |name: &str| {
        let model = load(name);
        let Keep::AllBut(count) = model.graph.default_keep() else { panic!("a count is expected") };
        count
    };
    assert_eq!(cut("keras/dense.keras"), 1);
    // the output layer is an activation: it follows one
    assert_eq!(cut("keras/activation_softmax.keras"), 2);
}

#[test]
fn what_is_put_on_top_has_names_and_weights_of_its_own_and_leaves_what_is_below_alone() {
    let model = load("keras/dense.keras");
    let before = crate::golden::weight_bits(&model);
    let mut longer = kept(&model, &model.graph.default_keep());
    let lower = crate::golden::weight_bits(&longer);
    let shapes = longer.graph.stand_in_shapes();
    let head = || parse_head("dense(4,relu) dropout(0.5) dense(3,softmax)").expect("a head");
    let names = longer.add_layers(head(), &shapes, 5).expect("a head that fits");
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let paths: Vec<String> = longer.graph.leaves().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths.iter().collect::<std::collections::BTreeSet<_>>().len(), paths.len(), "{paths:?}");
    assert_eq!(outputs(&longer)[0].len(), 2 * 3);
    assert!(before == crate::golden::weight_bits(&model));
    let after = crate::golden::weight_bits(&longer);
    assert!(lower.iter().all(|weight| after.contains(weight)));
    // the same seed draws the same head, another another
    let again = |seed| {
        let mut other = kept(&model, &model.graph.default_keep());
        other.add_layers(head(), &shapes, seed).expect("a head that fits");
        crate::golden::weight_bits(&other)
    };
    assert!(again(5) == after && again(6) != after);
}

#[test]
fn a_head_on_two_outputs_is_refused() {
    let mut model = load("keras/two_in_two_out.keras");
    let shapes = model.graph.stand_in_shapes();
    let error = model
        .add_layers(parse_head("dense(2)").expect("a head"), &shapes, 0)
        .expect_err("an error")
        .to_string();
    assert!(error.contains("has 2") && error.contains("the setting `keep = LAYER`"), "{error}");
}

#[test]
fn a_head_that_does_not_fit_names_its_layer() {
    let mut model = load("keras/dense.keras");
    let shapes = model.graph.stand_in_shapes();
    let error =
        model.add_layers(parse_head("gap").expect("a head"), &shapes, 0).expect_err("an error").to_string();
    assert!(error.contains("`global_average_pooling2d`"), "{error}");
}
