"""Writes one model of every family of classifiers of torchvision and timm as ONNX, with random weights, for families.py.

A family of timm is a file of its source and what the names in it begin with; of each the smallest model that has released weights
is taken, where it has fewer than 100 million parameters, on the smallest images that it accepts. The exporter of TorchScript
writes it, or that of dynamo where the former cannot.

    pip install -r tests/keras/requirements-onnx-goldens.txt
    python tests/keras/export_families.py FOLDER [NAME...]
"""

import argparse
import collections
import io
import json
import logging
import pathlib
import re
import warnings

import numpy as np
import timm
import torch
import torchvision
from timm.models._registry import _model_to_module

LARGEST = 100e6
SIZES = [64, 96, 128, 160, 192, 224, 256]
OPSET = 17
# PyTorch's names; all of torchvision's families of classifiers.
TORCHVISION = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0", "swin_t", "swin_v2_t", "vgg11", "vit_b_32",
    "wide_resnet50_2",
]  # fmt: skip
# Their images must be as large as in the file: poolings that others export, and positions.
OWN_SIZE = {"alexnet": 224, "vgg11": 224, "swin_t": 224, "swin_v2_t": 224, "vit_b_32": 224, "maxvit_t": 224}
# What says how large a member of a family is.
SIZE_WORDS = re.compile(
    r"_(x{0,2}(tiny|small|large)|nano|pico|femto|atto|zepto|mini|little|wee|base|medium|betwixt|huge|giant|gigantic|"
    r"x{0,2}[sml]|[sbmlx]|d?p?wee|plus|big|short|tall|wide|kobe|patch|[ls]rf|rw|hnf)(?=_|$)"
)


def family(name):
    """The file and the beginning of the name."""
    stem = re.match(r"[a-z]+\d?[a-z]*(?:_[a-z]{2,})*", name).group(0)
    while SIZE_WORDS.search(stem):
        stem = SIZE_WORDS.sub("", stem)
    return _model_to_module[name], re.sub(r"\d*[a-z]?$", "", stem) or stem


def parameters(name):
    with torch.device("meta"):
        try:
            model = timm.create_model(name)
        except (RuntimeError, NotImplementedError):  # it computes with its weights while it is made
            return None, None
    return sum(weight.numel() for weight in model.parameters()), model.num_classes


def chosen():
    """The smallest model of each family of timm."""
    families = collections.defaultdict(list)
    for name in sorted({name.split(".")[0] for name in timm.list_models(pretrained=True)}):
        if not name.startswith("test_"):
            families[family(name)].append(name)
    for members in families.values():
        sized = [(*parameters(name), name) for name in members]
        fit = [(count, name) for count, classes, name in sized if count and classes and count < LARGEST]
        unknown = [(0, name) for count, _, name in sized if count is None]
        if fit or unknown:
            yield "timm", min(fit or unknown)[1]


def enliven(model):
    """Statistics, scales and offsets of a new model are zeros and ones, which exporters leave out."""
    noise = torch.Generator().manual_seed(1)
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point() and tensor.ndim <= 1 and tensor.numel() > 1:
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=noise))
    return model.eval()


def built(source, name):
    torch.manual_seed(0)
    if source == "timm":
        model = enliven(timm.create_model(name))
        own = model.default_cfg["input_size"][-1]
        return model, [own] if model.default_cfg.get("fixed_input_size") else [*SIZES, own]
    settings = {"aux_logits": True, "init_weights": False} if name in ("inception_v3", "googlenet") else {}
    model = enliven(torchvision.models.get_model(name, weights=None, **settings))
    return model, [OWN_SIZE[name]] if name in OWN_SIZE else [*SIZES, 299]


def computed(model, sizes):
    """The smallest images that are accepted, and what becomes of them."""
    for size in sizes:
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
        try:
            output = model(images)
        except Exception as error:  # whatever a model says of images that are too small
            reason = error
            continue
        if torch.isfinite(output).all():
            return images, output
    raise reason


def exported(model, images):
    names = {"input_names": ["input"], "output_names": ["output"]}
    try:
        file = io.BytesIO()
        axes = {"input": {0: "batch"}, "output": {0: "batch"}}
        torch.onnx.export(model, (images,), file, dynamo=False, opset_version=OPSET, dynamic_axes=axes, **names)
        return file.getvalue(), "TorchScript"
    except Exception:  # what it cannot do has many names
        batch = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(model, (images,), dynamo=True, dynamic_shapes=batch, verbose=False, **names)
        return program.model_proto.SerializeToString(), "dynamo"


def write(folder, source, name):
    stem = f"{source}-{name}"
    if (folder / f"{stem}.json").exists():
        return
    record = {"source": source, "name": name}
    try:
        model, sizes = built(source, name)
        images, output = computed(model, sizes)
        record["parameters"] = sum(weight.numel() for weight in model.parameters())
        record["size"] = images.shape[-1]
        data, record["exporter"] = exported(model, images)
        np.savez(folder / f"{stem}.npz", input=images.numpy(), output=output.numpy())
        (folder / f"{stem}.onnx").write_bytes(data)
    except Exception as error:  # the others are exported all the same
        record["failed"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    (folder / f"{stem}.json").write_text(json.dumps(record))
    print(json.dumps(record), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("names", nargs="*", help="of timm; all families of both without")
    given = arguments.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    every = [("timm", name) for name in given.names] or [*(("torchvision", name) for name in TORCHVISION), *chosen()]
    with torch.no_grad():
        for source, name in every:
            write(given.folder, source, name)


if __name__ == "__main__":
    main()
