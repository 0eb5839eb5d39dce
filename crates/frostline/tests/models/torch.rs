//! State dicts of torchvision and timm give what PyTorch computes with them. The goldens are written by
//! `tests/keras/make_torch_goldens.py`.

use crate::golden::path;
use crate::torch_formula::{Golden, value};
use frostline::Tensor;
use frostline::data::Preprocess;
use frostline::fit::preprocess_of;
use frostline::formats::{self, Architecture, LoadOptions, Loaded};
use frostline::graph::{Body, Layer, Model, ModelInfo};
use frostline::verify::{read_reference, verify};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// The largest difference as a share of the largest output: rounding alone, which adds up over 50 layers.
const OUTPUT: f64 = 1e-4;
/// Gradients and the loss, in relative norm.
const GRADIENT: f64 = 1e-3;

fn goldens() -> Vec<(String, Golden)> {
    goldens_in("torch")
}

fn goldens_in(folder: &str) -> Vec<(String, Golden)> {
    let entries =
        std::fs::read_dir(path(folder)).expect("the goldens").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), Golden::read(path))).collect()
}

fn golden(name: &str) -> Golden {
    Golden::read(&path(&format!("torch/{name}.json")))
}

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

fn load(bytes: &[u8], architecture: Option<&str>) -> Result<Loaded, String> {
    let (_folder, path) = written(bytes);
    formats::load_as(&path, architecture.map(named)).map_err(|error| error.to_string())
}

fn named(name: &str) -> Architecture {
    name.parse().expect("a name that is known")
}

/// The ends, or beginnings, of the names of tensors that are left behind.
const ASIDE: [&str; 5] = ["aux1.", "aux2.", "AuxLogits.", "num_batches_tracked", "relative_position_index"];

fn is_aside(name: &str, rule: &str) -> bool {
    if rule.ends_with('.') { name.starts_with(rule) } else { name.ends_with(rule) }
}

/// A state dict with other tensors: each is kept with the name that `change` gives it, or left out.
fn changed(golden: &Golden, change: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let tensors = golden.tensors.iter().filter_map(|(name, shape)| Some((change(name)?, shape.clone())));
    Golden { tensors: tensors.collect(), ..Golden::default() }.file()
}

#[test]
#[allow(clippy::print_stdout, reason = "it tells the figures of docs/pytorch.md")]
fn every_architecture_computes_what_pytorch_does() {
    let goldens = goldens();
    assert!(goldens.len() >= 40, "only {} goldens were found", goldens.len());
    for (name, golden) in goldens {
        let loaded = load(&golden.file(), Some(&golden.architecture))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let rules = ASIDE.iter().filter(|rule| golden.tensors.keys().any(|name| is_aside(name, rule)));
        let left = golden.tensors.keys().filter(|name| ASIDE.iter().any(|rule| is_aside(name, rule))).count();
        assert_eq!(loaded.report.unused, [] as [String; 0], "{name}");
        assert_eq!(loaded.report.loaded, golden.tensors.len() - left, "{name}");
        assert_eq!(loaded.report.notes.len(), rules.count(), "{name}: {:?}", loaded.report.notes);
        let images = golden.input[0];
        let shape = vec![images, golden.input[2], golden.input[3], golden.input[1]];
        let output =
            Tensor { shape: vec![images, golden.output.len() / images], data: golden.output.clone() };
        let input = Tensor { shape, data: golden.images() };
        let mut setting = read_setting();
        let mut reference: frostline::verify::Reference =
            [("input_0".to_owned(), input), ("output_0".to_owned(), output)].into();
        let gradients = path(&format!("torch/{name}.npz"));
        if gradients.exists() {
            let (found, how) = read_reference(&gradients).expect("the gradients");
            reference.extend(found);
            setting = how;
        }
        let differences =
            verify(&loaded.model, &reference, setting).unwrap_or_else(|error| panic!("{name}: {error}"));
        let worst = differences.iter().skip(1).map(|difference| difference.relative).fold(0.0, f64::max);
        println!("{name}: {:.1e}, {} others to {worst:.1e}", differences[0].relative, differences.len() - 1);
        for difference in differences {
            let limit = if difference.name.starts_with("output") { OUTPUT } else { GRADIENT };
            assert!(difference.relative <= limit, "{name}: {} {:.2e}", difference.name, difference.relative);
        }
    }
}

#[test]
fn transformers_take_images_of_other_sizes_as_pytorch_does() {
    let goldens = goldens_in("torch/resized");
    assert!(goldens.len() >= 4, "only {} goldens were found", goldens.len());
    for (name, golden) in goldens {
        let &[images, channels, height, width] = golden.input.as_slice() else {
            panic!("{name}: {:?}", golden.input)
        };
        let (_folder, path) = written(&golden.file());
        let options = LoadOptions {
            architecture: Some(named(&golden.architecture)),
            image_size: Some([height, width]),
            ..LoadOptions::default()
        };
        let loaded = formats::load_with(&path, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.model.info.image_size, Some([height, width]), "{name}");
        let interpolated = loaded.report.warnings.iter().any(|told| told.contains("were interpolated to"));
        assert_eq!(interpolated, !name.starts_with("swin"), "{name}: {:?}", loaded.report.warnings);
        let input = Tensor { shape: vec![images, height, width, channels], data: golden.images() };
        let output =
            Tensor { shape: vec![images, golden.output.len() / images], data: golden.output.clone() };
        let reference = [("input_0".to_owned(), input), ("output_0".to_owned(), output)].into();
        let differences = verify(&loaded.model, &reference, read_setting());
        let [difference] =
            differences.unwrap_or_else(|error| panic!("{name}: {error}")).try_into().expect("one");
        assert!(difference.relative <= OUTPUT, "{name}: {:.2e}", difference.relative);

        let odd = LoadOptions { image_size: Some([height + 3, width]), ..options };
        let error = formats::load_with(&path, &odd).expect_err("no whole number of patches").to_string();
        assert!(error.contains("help: give") && error.contains("image-size"), "{name}: {error}");
    }
}

fn read_setting() -> frostline::verify::GradientSetting {
    frostline::verify::GradientSetting { loss: None, statistics: frostline::compile::Statistics::Moving }
}

/// The layers of a class, by name, with a setting of each.
fn setting(model: &Model, class: &str, key: &str) -> BTreeMap<String, f64> {
    let of = |(path, layer): (String, &Layer)| match &layer.body {
        Body::Kind(kind) if kind.class_name() == class => Some((path, layer.config[key].as_f64()?)),
        _ => None,
    };
    model.graph.leaves().into_iter().filter_map(of).collect()
}

#[test]
fn settings_that_no_output_shows_are_those_of_pytorch() {
    let close = |left: f64, right: f64| (left - right).abs() < 1e-7;
    for (name, golden) in goldens() {
        let model = load(&golden.file_of_zeros(), Some(&golden.architecture)).expect("a model").model;
        for class in ["BatchNormalization", "LayerNormalization"] {
            let expected = golden.settings[class].as_array().expect("a list");
            let epsilons = setting(&model, class, "epsilon");
            assert_eq!(epsilons.is_empty(), expected.is_empty(), "{name}");
            for expected in expected {
                let epsilon = expected[0].as_f64().expect("a number");
                assert!(epsilons.values().all(|found| close(*found, epsilon)), "{name}: {epsilons:?}");
                if let Some(momentum) = expected[1].as_f64() {
                    let found = setting(&model, class, "momentum");
                    assert!(found.values().all(|found| close(*found, 1.0 - momentum)), "{name}: {found:?}");
                }
            }
        }
        for (class, key) in [("Dropout", "rate"), ("StochasticDepth", "drop_path_rate")] {
            let expected: BTreeMap<String, f64> =
                serde_json::from_value(golden.settings[class].clone()).expect("rates");
            let found = setting(&model, class, key);
            assert!(found.keys().eq(expected.keys()), "{name}: {found:?} and {expected:?}");
            assert!(found.values().zip(expected.values()).all(|(a, b)| close(*a, *b)), "{name}: {found:?}");
        }
    }
}

#[test]
fn images_are_prepared_as_the_pretrained_weights_were_shown_theirs() {
    for (name, resize) in
        [("torchvision-mobilenet_v2", "pil-bilinear"), ("timm-mobilenetv2_100", "pil-bicubic")]
    {
        let info = load(&golden(name).file(), Some("mobilenet_v2")).expect("a model").model.info;
        assert_eq!((info.image_size, info.resize.as_deref()), (Some([224, 224]), Some(resize)));
        assert_eq!(info.preprocess, Some("torch".into()));
    }
    // what frostline saved beside the model is lost when Keras saves it again
    let mut model = load(&golden("headless-resnet18").file(), Some("resnet18")).expect("a model").model;
    model.info = ModelInfo::default();
    assert_eq!(preprocess_of(&model).map(|(preprocess, _)| preprocess), Ok(Preprocess::Torch));
}

#[test]
fn without_an_architecture_the_error_says_which_one_fits() {
    for (name, golden) in goldens() {
        let error = load(&golden.file_of_zeros(), None).expect_err("no architecture");
        let help = "help: its tensors are those of `";
        assert!(error.contains("no architecture\n") && error.contains(help), "{name}: {error}");
        assert!(error.contains(&format!("`{}`", golden.architecture)), "{name}: {error}");
        let twin = ["tf_mobilenetv3_small_100", "tf_efficientnet_es"].contains(&golden.architecture.as_str());
        let setting = format!(": give the setting `arch = {}`", golden.architecture);
        assert!(error.contains(&setting) || twin, "{name}: {error}");
    }
    let other = load(&changed(&golden("torchvision-resnet18"), |name| Some(format!("net.{name}"))), None);
    let error = other.expect_err("no architecture");
    assert!(error.contains("docs/pytorch-names.md lists") && error.contains("`net.bn1.bias`"), "{error}");
}

#[test]
fn another_architecture_than_the_tensors_is_an_error_with_the_right_one() {
    // a ResNet-18 could be filled from a part of a ResNet-34
    for wrong in ["resnet50", "resnet18", "mobilenet_v2"] {
        let error =
            load(&golden("torchvision-resnet34").file(), Some(wrong)).expect_err("another architecture");
        assert!(
            error.contains(&format!(
                "of `resnet34`, not of `{wrong}`\nhelp: give the setting `arch = resnet34`"
            )),
            "{error}"
        );
    }
    let renamed =
        changed(&golden("torchvision-resnet34"), |name| Some(name.replace("layer4.0", "layer4.0.0")));
    let error = load(&renamed, Some("resnet34")).expect_err("no architecture that is known");
    assert!(error.contains("no tensor `layer4.0.conv1.weight` of shape [512, 256, 3, 3]"), "{error}");
}

#[test]
fn missing_and_unexpected_tensors_are_named() {
    let golden = golden("timm-mobilenetv3_small_100");
    let lacks = changed(&golden, |name| (name != "blocks.0.0.se.conv_reduce.bias").then(|| name.to_owned()));
    let error = load(&lacks, Some("mobilenet_v3_small")).expect_err("a tensor is missing");
    assert!(error.contains("no tensor `blocks.0.0.se.conv_reduce.bias` of shape [8]"), "{error}");
    assert!(error.contains("for `blocks.0.0.se.conv_reduce/bias`"), "{error}");
    let more = changed(&golden, |name| {
        Some(if name == "bn1.num_batches_tracked" { "ema".to_owned() } else { name.to_owned() })
    });
    let error = load(&more, Some("mobilenet_v3_small")).expect_err("a tensor is left over");
    assert!(error.contains("a tensor belongs to no layer of `mobilenet_v3_small`: `ema`\nhelp: "), "{error}");
    let error = load(&more, None).expect_err("no architecture");
    assert!(error.contains("all tensors of `mobilenet_v3_small`, and others besides: `ema`"), "{error}");
}

/// A golden whose block `from` stands there again as each of `to`.
fn deeper(golden: &Golden, from: &str, to: &[String]) -> Vec<u8> {
    let mut tensors = golden.tensors.clone();
    for (name, shape) in &golden.tensors {
        if let Some(rest) = name.strip_prefix(from) {
            tensors.extend(to.iter().map(|block| (format!("{block}{rest}"), shape.clone())));
        }
    }
    Golden { tensors, ..Golden::default() }.file()
}

#[test]
fn a_larger_network_is_not_taken_for_the_smaller_one_in_it() {
    let blocks = |path: &str, range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|block| format!("{path}{block}.")).collect()
    };
    let cases = [
        ("torchvision-resnet50", "layer3.5.", blocks("layer3.", 6..13)),
        ("timm-resnet18", "layer4.1.", blocks("layer4.", 2..3)),
        ("torchvision-efficientnet_b0", "features.1.0.", blocks("features.1.", 1..2)),
        ("timm-efficientnet_b0", "blocks.6.0.", blocks("blocks.6.", 1..2)),
        ("torchvision-convnext_tiny", "features.5.8.", blocks("features.5.", 9..17)),
        // squeeze and excitation in a block that the architecture has without
        ("timm-resnet50", "layer1.0.conv1.", vec!["layer1.0.se.fc1.".to_owned()]),
    ];
    for (name, from, to) in cases {
        let golden = golden(name);
        let file = deeper(&golden, from, &to);
        let error = load(&file, Some(&golden.architecture)).expect_err("a larger network");
        let words = format!("to no layer of `{}`: `", golden.architecture);
        assert!(error.contains(&words) && error.contains("export the model as ONNX"), "{name}: {error}");
        assert!(to.iter().any(|block| error.contains(&format!("`{block}"))), "{name}: {error}");
        assert!(error.lines().all(|line| line.len() < 400), "{name}: {error}");
        let error = load(&file, None).expect_err("no architecture");
        assert!(
            !error.contains("its tensors are those of") && !error.contains("give the setting `arch`"),
            "{error}"
        );
        assert!(error.contains("no architecture that is known here has its tensors"), "{name}: {error}");
    }
}

#[test]
fn twins_that_compute_something_else_are_refused_where_a_name_says_so_and_warned_of_elsewhere() {
    // the first is not known here, the second is
    for (name, architecture, twin, remedy) in [
        ("timm-resnet50", "resnet50", "resnetblur50", "export the model as ONNX"),
        ("timm-efficientnet_b0", "efficientnet_b0", "tf_efficientnet_b0", "`arch = tf_efficientnet_b0`"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = golden(name).file();
        let at = |file: &str| {
            let path = folder.path().join(file);
            std::fs::write(&path, &bytes).expect("written");
            formats::load_as(&path, Some(named(architecture)))
        };
        let warnings = at("model.safetensors").expect("a model").report.warnings;
        assert!(matches!(warnings.as_slice(), [one] if one.contains(&format!("`{twin}`"))), "{warnings:?}");
        let error = at(&format!("{twin}.safetensors")).expect_err("its name says so").to_string();
        assert!(error.contains(&format!("its name says that this is a `{twin}`")), "{error}");
        assert!(error.contains(remedy), "{error}");
        let config = |said: &str| {
            std::fs::write(folder.path().join("config.json"), format!("{{\"architecture\": \"{said}\"}}"))
                .expect("written");
        };
        config(twin);
        let error = at("model.safetensors").expect_err("it says so").to_string();
        assert!(
            error.contains("`config.json`") && error.contains(twin) && error.contains("help:"),
            "{error}"
        );
        // without `arch` it is what the file beside it says
        match (formats::load(&folder.path().join("model.safetensors")), twin) {
            (Ok(loaded), "tf_efficientnet_b0") => {
                assert_eq!(loaded.model.graph.name, "torch_tf_efficientnet_b0");
            }
            (Err(error), "resnetblur50") => {
                let error = error.to_string();
                assert!(error.contains(twin) && !error.contains("give the setting `arch`"), "{error}");
            }
            (other, _) => panic!("{other:?}"),
        }
        config(architecture);
        assert_eq!(at("model.safetensors").expect("a model").report.warnings, [] as [String; 0]);
    }
    let other =
        load(&golden("torchvision-efficientnet_b0").file(), Some("efficientnet_b0")).expect("a model");
    assert_eq!(other.report.warnings, [] as [String; 0]);
}

#[test]
fn a_config_beside_the_file_says_architecture_and_preprocessing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, golden("timm-vit_tiny_patch16_224").file()).expect("written");
    let shown = r#"{"input_size": [3, 224, 224], "interpolation": "bilinear", "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}"#;
    let config = format!(r#"{{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {shown}}}"#);
    std::fs::write(folder.path().join("config.json"), config).expect("written");
    let loaded = formats::load(&path).expect("a model");
    assert!(
        loaded.report.notes.iter().any(|note| note.contains("`config.json`")),
        "{:?}",
        loaded.report.notes
    );
    let info = loaded.model.info.clone();
    // the size is that of the positions in the file
    assert_eq!((info.image_size, info.resize.as_deref()), (Some([48, 48]), Some("pil-bilinear")));
    let (preprocess, _) = preprocess_of(&loaded.model).expect("it is said");
    let Preprocess::Affine { scale, offset } = preprocess else { panic!("{preprocess:?}") };
    assert!((scale[0] - 1.0 / (255.0 * 0.27)).abs() < 1e-7 && (offset[2] + 0.41 / 0.28).abs() < 1e-6);
}

#[test]
fn a_tag_says_how_photos_are_prepared() {
    let file = golden("timm-vit_tiny_patch16_224").file();
    for (name, preprocess) in [
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", Preprocess::Tf),
        ("deit_tiny_patch16_224.fb_in1k", Preprocess::Torch),
    ] {
        let model = load(&file, Some(name)).expect("a model").model;
        assert_eq!(preprocess_of(&model).map(|(found, _)| found), Ok(preprocess), "{name}");
    }
}

#[test]
fn a_state_dict_fills_a_model_whose_layers_have_its_names() {
    let golden = golden("torchvision-mobilenet_v3_small");
    let (_folder, path) = written(&golden.file());
    let model = formats::load_as(&path, Some(named("mobilenet_v3_small"))).expect("a model").model;
    let other = model.copy();
    other.weights.iter().for_each(|(_, handle)| handle.set(&vec![f32::NAN; handle.with(Tensor::len)]));
    let report = formats::load_weights(&path, &other).expect("the weights");
    assert_eq!((report.loaded, report.unused.len()), (model.weights.len(), 0));
    assert!(crate::golden::weight_bits(&model) == crate::golden::weight_bits(&other));
}

#[test]
fn weights_of_a_larger_network_do_not_go_onto_a_smaller_model() {
    let golden = golden("torchvision-resnet18");
    let (_folder, path) = written(&golden.file());
    let model = formats::load_as(&path, Some(named("resnet18"))).expect("a model").model;
    let before = crate::golden::weight_bits(&model);
    let (_folder, larger) = written(&deeper(&golden, "layer4.1.", &["layer4.2.".to_owned()]));
    let error = formats::load_weights(&larger, &model).expect_err("a larger network").to_string();
    assert!(error.contains("to no layer of the model") && error.contains("`layer4.2."), "{error}");
    assert!(error.contains("and 7 more") && error.contains("help:"), "{error}");
    assert!(before == crate::golden::weight_bits(&model), "weights were changed");
}

#[test]
fn a_file_that_says_its_architecture_takes_no_other() {
    let error =
        formats::load_as(&path("keras/dense.keras"), Some(named("resnet18"))).expect_err("it says it");
    assert!(error.to_string().contains("leave the setting `arch = resnet18` out"), "{error}");
}

#[test]
fn tensors_of_other_widths_are_converted_and_integers_refused() {
    let golden = golden("headless-resnet18");
    let numbers = value("bn1.bias", &[64]);
    let exact: Vec<f32> = numbers.iter().map(|number| (number * 64.0).round() / 64.0).collect();
    let with = |dtype: Dtype, bytes: &[u8]| {
        let file = golden.file();
        let own = safetensors::SafeTensors::deserialize(&file).expect("a file");
        let mut tensors: Vec<(String, TensorView<'_>)> = own.tensors();
        let bias = tensors.iter_mut().find(|(name, _)| name == "bn1.bias").expect("the bias");
        bias.1 = TensorView::new(dtype, vec![64], bytes).expect("a tensor");
        load(&safetensors::serialize(tensors, None).expect("a file"), Some("resnet18"))
    };
    // multiples of 1/64 below 1 have few digits: cut off, not rounded, they are exact in all
    let half = |number: &f32| {
        let bits = number.to_bits();
        let magnitude = if *number == 0.0 { 0 } else { (bits >> 13 & 0x3ffff) - (112 << 10) };
        ((bits >> 16 & 0x8000) | magnitude) as u16
    };
    let f64s: Vec<u8> = exact.iter().flat_map(|number| f64::from(*number).to_le_bytes()).collect();
    let halves: Vec<u8> = exact.iter().flat_map(|number| half(number).to_le_bytes()).collect();
    let bf16s: Vec<u8> =
        exact.iter().flat_map(|number| ((number.to_bits() >> 16) as u16).to_le_bytes()).collect();
    for (dtype, bytes) in [(Dtype::F64, f64s), (Dtype::F16, halves), (Dtype::BF16, bf16s)] {
        let model = with(dtype, &bytes).unwrap_or_else(|error| panic!("{dtype:?}: {error}")).model;
        assert_eq!(model.weights.get("bn1/beta").expect("the bias").get().data, exact, "{dtype:?}");
    }
    let error = with(Dtype::I32, &[0; 256]).expect_err("integers");
    assert!(error.contains("`bn1.bias` cannot be read") && error.contains("F16"), "{error}");
}

/// A header that was changed: an error with words, or a model, but no panic and no memory for numbers that are not there.
#[test]
fn a_damaged_header_is_an_error_or_a_model() {
    let bytes = golden("headless-mobilenetv3_small_100").file();
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
    let mut loaded = 0;
    for seed in 0..80u64 {
        let mut random = crate::damaged::Random(0x9E37_79B9_7F4A_7C15 ^ (seed + 1) << 8);
        let mut changed = bytes.clone();
        random.mutate(&mut changed[..8 + length]);
        match load(&changed, Some("mobilenet_v3_small")) {
            Ok(_) => loaded += 1,
            Err(error) => assert!(error.contains("help:"), "seed {seed}: {error}"),
        }
    }
    assert!(loaded < 80, "no change was damage");
}

#[test]
fn absurd_shapes_of_a_classifier_are_errors() {
    for (weight, bias) in [([1 << 40, 0], [0]), ([0, 1 << 40], [0]), ([0, 512], [0])] {
        let mut golden = golden("headless-resnet18");
        golden.tensors.insert("fc.weight".to_owned(), weight.to_vec());
        golden.tensors.insert("fc.bias".to_owned(), bias.to_vec());
        let error = load(&golden.file(), Some("resnet18")).expect_err("no classes");
        assert!(error.contains("help:") && error.contains("fc"), "{error}");
    }
}
