"""The parameters that `frostline models` tells are those of real Keras, and of the state dicts that PyTorch wrote."""

import json
import math

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def known(frostline):
    return frostline.json("models")


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50"])
def test_parameters_are_those_of_keras(known, name):
    import keras

    told = next(one for one in known["keras_applications"] if one["name"] == name)
    model = getattr(keras.applications, name)(weights=None)
    assert told["parameters"] == model.count_params()
    assert told["image_size"] == (model.input_shape[1] or 224)


def test_every_application_of_keras_is_told(known):
    import keras

    names = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {one["name"] for one in known["keras_applications"]} == names


@pytest.mark.parametrize("name", ["timm-resnet18", "timm-convnext_tiny", "torchvision-shufflenet_v2_x0_5"])
def test_parameters_are_those_of_the_state_dict(known, name):
    library, _, architecture = name.partition("-")
    tensors = json.loads((ROOT / "tests" / "golden" / "torch" / f"{name}.json").read_text())["tensors"]
    classes = 10
    counted = 0
    for tensor, shape in tensors.items():
        if "running_" in tensor or "num_batches" in tensor:
            continue
        # the golden file has a classifier of ten classes, published weights one of a thousand
        is_classifier = shape and shape[0] == classes
        counted += math.prod([1000, *shape[1:]]) if is_classifier else math.prod(shape)
    weights = next(one for one in known["architectures"] if one["arch"] == architecture)["weights"]
    told = {one["parameters"] for one in weights if one["library"] == library}
    assert told, architecture
    # timm tells them to two digits of a million
    tolerance = 5_000 if library == "timm" else 0
    assert all(abs(one - counted) <= tolerance for one in told), (told, counted)
