//! Heat maps lie where a class is, and say so of the picture as the model saw it.

#[path = "../../../tests/rust/colours.rs"]
mod colours;

use colours::{SIDE, model, picture};
use frostline::data::{Augment, Fit, Image, Pipeline, Preprocess, Resize};
use frostline::explain::{Explained, Explainer};

fn pipeline(fit: Fit) -> Pipeline {
    Pipeline::new(&[SIDE, SIDE, 3], Resize::TfBilinear, Augment::default(), Preprocess::None)
        .expect("a pipeline")
        .fitted(fit)
}

/// The mean of a map over a field of the picture.
fn mean(over: &[Option<f32>], width: usize, [top, left, bottom, right]: [usize; 4]) -> f32 {
    let values: Vec<f32> =
        (top..bottom).flat_map(|y| (left..right).filter_map(move |x| over[y * width + x])).collect();
    values.iter().sum::<f32>() / values.len() as f32
}

#[test]
fn a_class_that_is_in_one_quarter_has_its_map_there() {
    let explainer = Explainer::new(&model(), None, pipeline(Fit::Squash)).expect("an explainer");
    assert_eq!((explainer.layer(), explainer.classes()), ("conv2d", 2), "pooling layers are left out");
    let (red, blue) = ([0, 0, 16, 30], [16, 30, 32, 60]);
    let picture = picture(32, 60, red, blue);
    for (class, there, elsewhere) in [(0, red, blue), (1, blue, red)] {
        let map = explainer.explain(&picture, "a picture", Some(class)).expect("a map");
        assert_eq!((map.class, map.of, map.height, map.width), (class, Explained::Logit, SIDE, SIDE));
        let over = map.over([32, 60]);
        assert!(mean(&over, 60, there) > 0.8, "{}", mean(&over, 60, there));
        for quarter in [elsewhere, [0, 30, 16, 60], [16, 0, 32, 30]] {
            assert!(mean(&over, 60, quarter) < 0.1, "class {class}: {}", mean(&over, 60, quarter));
        }
        assert!((map.values.iter().copied().fold(0.0, f32::max) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn the_predicted_class_is_explained_by_default() {
    let explainer = Explainer::new(&model(), None, pipeline(Fit::Squash)).expect("an explainer");
    let much_blue = picture(20, 20, [0, 0, 4, 4], [10, 0, 20, 20]);
    let map = explainer.explain(&much_blue, "a picture", None).expect("a map");
    let other = explainer.explain(&much_blue, "a picture", Some(0)).expect("a map");
    assert_eq!(map.class, 1);
    assert!((map.score + other.score - 1.0).abs() < 1e-6 && map.score > 0.5);
    // another picture, and the first one again: nothing is left over of those before
    explainer.explain(&picture(9, 9, [0, 0, 9, 9], [0, 0, 0, 0]), "another", None).expect("a map");
    assert_eq!(explainer.explain(&much_blue, "a picture", None).expect("a map"), map);
    let error = explainer.explain(&much_blue, "a picture", Some(2)).expect_err("no class 2").to_string();
    assert!(error.contains("help:"), "{error}");
}

#[test]
fn what_was_cut_off_has_no_value_and_padding_moves_the_map() {
    // a wide picture with red at both ends of what a crop sees, and at the right end of all
    let red = [0, 80, 40, 120];
    let wide = picture(40, 120, red, [0, 0, 0, 0]);
    let explain = |fit: Fit| {
        let explainer = Explainer::new(&model(), None, pipeline(fit)).expect("an explainer");
        explainer.explain(&wide, "a picture", Some(0)).expect("a map")
    };
    let padded = explain(Fit::Pad).over([40, 120]);
    assert!(padded.iter().all(Option::is_some));
    assert!(mean(&padded, 120, [8, 84, 32, 116]) > 0.8 && mean(&padded, 120, [0, 0, 40, 76]) < 0.1);
    // the middle third is seen: all of it is grey
    let cropped = explain(Fit::Crop);
    assert!(cropped.is_empty(), "nothing of what the model saw is red");
    assert_eq!(cropped.over([40, 120]).iter().flatten().count(), 40 * 40);
}

#[test]
fn threads_share_an_explainer() {
    let explainer =
        Explainer::new(&model(), Some("max_pooling2d"), pipeline(Fit::Squash)).expect("an explainer");
    let pictures: Vec<Image> =
        (1..9).map(|size| picture(20, 20, [0, 0, size, size], [12, 12, 20, 20])).collect();
    let alone: Vec<_> =
        pictures.iter().map(|one| explainer.explain(one, "a picture", Some(0)).expect("a map")).collect();
    std::thread::scope(|scope| {
        for (one, map) in pictures.iter().zip(&alone) {
            let explainer = &explainer;
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_eq!(&explainer.explain(one, "a picture", Some(0)).expect("a map"), map);
                }
            });
        }
    });
}

#[test]
fn layers_without_places_are_refused_with_a_layer_that_has_some() {
    for (layer, words) in
        [("global_average_pooling2d", "without places"), ("conv", "no layer `conv`"), ("input", "")]
    {
        let found = Explainer::new(&model(), Some(layer), pipeline(Fit::Squash));
        match layer {
            "input" => assert!(found.is_ok(), "the gradient by the pixels themselves"),
            _ => {
                let error = found.err().expect("refused").to_string();
                assert!(
                    error.contains(words) && error.contains("help:") && error.contains("conv2d"),
                    "{error}"
                );
            }
        }
    }
}
