"""State dicts of torchvision and timm through `convert` to real Keras, and frostline's own `.safetensors`. What PyTorch
computes is in `tests/golden/torch/`; none of the tests needs PyTorch."""

import json

import keras
import numpy as np
import pytest
from conftest import ROOT, relative
from torch_formula import save_safetensors, value

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
GOLDEN = ROOT / "tests/golden/torch"


@pytest.fixture
def golden(request, tmp_path):
    """A golden, its state dict as a file, and its input with the channels last."""
    found = json.loads((GOLDEN / f"{request.param}.json").read_text())
    found["file"] = tmp_path / "weights.safetensors"
    save_safetensors(found["file"], found["tensors"])
    found["images"] = value("input", found["input"]).transpose(0, 2, 3, 1)
    return found


MODELS = ["torchvision-resnet18", "timm-mobilenetv3_small_100", "torchvision-efficientnet_b0", "torchvision-convnext_tiny"]


@pytest.mark.parametrize("golden", MODELS, indirect=True)
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_keras_computes_with_the_converted_model_what_pytorch_does(golden, ending, frostline, tmp_path):
    keras.backend.clear_session()
    out = tmp_path / f"model.{ending}"
    frostline.done("convert", golden["file"], "--arch", golden["architecture"], "-o", out)
    objects = {}
    if ending == "h5":  # which does not say the modules of classes
        from keras.src.applications import convnext

        objects = {name: getattr(convnext, name) for name in ("LayerScale", "StochasticDepth")}
    model = keras.models.load_model(out, custom_objects=objects)
    found = keras.ops.convert_to_numpy(model(golden["images"], training=False))
    difference = relative(found, np.array(golden["output"]))
    print(f"{golden['architecture']}: {difference:.1e}")
    assert difference <= OUTPUT


@pytest.mark.parametrize("golden", ["timm-vit_tiny_patch16_224", "timm-convnextv2_atto"], indirect=True)
def test_keras_computes_with_operations_of_a_converted_model_what_pytorch_does(golden, frostline, tmp_path):
    keras.backend.clear_session()
    out = tmp_path / "model.keras"
    frostline.done("convert", golden["file"], "--arch", golden["architecture"], "-o", out)
    model = keras.models.load_model(out)
    found = keras.ops.convert_to_numpy(model(golden["images"], training=False))
    assert relative(found, np.array(golden["output"])) <= OUTPUT


@pytest.mark.parametrize("golden", ["timm-mobilenetv3_small_100"], indirect=True)
def test_a_state_dict_is_a_model_for_every_command(golden, frostline, tmp_path):
    named = [golden["file"], "--arch", "mobilenetv3_small_100"]
    inspected = frostline.json("inspect", *named)
    assert (inspected["preprocess"], inspected["image_size"], inspected["resize"]) == ("torch", [224, 224], "pil-bicubic")
    assert inspected["load"]["unused"] == [] and inspected["load"]["tensors"] == inspected["load"]["loaded"]
    expected = np.array(golden["output"], "float32")
    np.savez(tmp_path / "reference.npz", input_0=golden["images"], output_0=expected)
    assert frostline.json("verify", *named, "--against", tmp_path / "reference.npz")["equal"]
    own = tmp_path / "own.safetensors"
    frostline.done("convert", *named, "-o", own)
    assert frostline.json("verify", own, "--against", tmp_path / "reference.npz")["equal"]
    assert frostline.json("inspect", own)["layers"] == inspected["layers"]
    images, classes = np.random.default_rng(1).integers(0, 255, (12, 32, 32, 3), "uint8"), np.arange(12) % 2
    np.savez(tmp_path / "data.npz", x_train=images, y_train=classes)
    frostline.done("train", *named, tmp_path / "data.npz", "-o", tmp_path / "trained", "--image-size", 32, "--epochs", 1)
    assert json.loads((tmp_path / "trained/run.json").read_text())["source"]["arch"] == "mobilenetv3_small_100"
    photos = ROOT / "tests/keras"  # a model that is named wrong fails before the data are looked at
    for command in (["plan"], ["train", "-o", tmp_path / "run"], ["depth"], ["evaluate"]):
        failed = frostline.run(command[0], golden["file"], photos, *command[1:])
        assert failed.returncode == 1, failed.stdout
        assert "give --arch mobilenet_v3_small" in failed.stderr, failed.stderr


def test_an_unknown_architecture_is_a_wrong_argument(frostline, tmp_path):
    failed = frostline.run("inspect", tmp_path / "w.safetensors", "--arch", "resnet19")
    assert failed.returncode == 2
    assert "did you mean `resnet" in failed.stderr and "families ResNet" in failed.stderr


def test_a_pickle_is_refused(frostline, tmp_path):
    file = tmp_path / "model.pth"
    file.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    failed = frostline.run("inspect", file)
    assert failed.returncode == 1
    assert "runs the code" in failed.stderr and "save_file(model.state_dict()" in failed.stderr
