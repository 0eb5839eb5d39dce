"""Writes the golden files of `tests/golden/torch/` with real PyTorch, torchvision and timm.

For each architecture: the names and shapes of its state dict and what the model makes of an input. No weights are
written: every tensor, and the input, is a formula of its name and shape (`torch_formula.py`).
For some models an `.npz` holds the gradients of small weights, in the format and layout of `frostline verify --against`.

    pip install -r tests/keras/requirements-torch.txt
    python tests/keras/make_torch_goldens.py tests/golden/torch [NAME…]
"""

import argparse
import collections
import json
import pathlib

import numpy as np
import timm
import torch
import torchvision
from timm.layers.grn import GlobalResponseNorm
from timm.models.vision_transformer import checkpoint_filter_fn
from torch_formula import value

CLASSES = 10
BATCH, SIZE = 2, 64

TORCHVISION = [
    "resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    "efficientnet_b0", "convnext_tiny", "densenet121", "mnasnet0_5", "regnet_y_400mf", "squeezenet1_1",
    "shufflenet_v2_x0_5", "googlenet", "inception_v3", "swin_t",
]  # fmt: skip
TIMM = {
    "resnet18": "resnet18", "resnet50": "resnet50", "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large", "mobilenetv3_small_100": "mobilenet_v3_small",
    "efficientnet_b0": "efficientnet_b0", "convnext_tiny": "convnext_tiny",
}  # fmt: skip
# Those of timm alone, and of the families above what differs most.
TIMM_ALONE = [
    "seresnext26t_32x4d", "mobilenetv4_conv_small", "tf_mobilenetv3_small_100", "tf_efficientnet_es",
    "convnextv2_atto", "regnetx_002", "repvgg_a0", "ghostnet_050", "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224", "vit_small_patch14_reg4_dinov2", "poolformer_s12", "resmlp_12_224", "mixer_s32_224",
    "convmixer_768_32",
]  # fmt: skip
# Without a classifier: the backbone with pooled features.
HEADLESS = {"mobilenetv3_small_100": "mobilenet_v3_small", "resnet18": "resnet18", "convnext_tiny": "convnext_tiny"}
GRADIENTS = [
    "torchvision-mobilenet_v3_small", "torchvision-resnet18", "timm-convnext_tiny", "timm-convnextv2_atto", "torchvision-swin_t",
    "timm-vit_small_patch14_reg4_dinov2",
]  # fmt: skip
# The sides of images where 64 is none.
SIZES = {"swin_t": 224, "resmlp_12_224": 224, "mixer_s32_224": 224, "inception_v3": 96, "vit_tiny_patch16_224": 48,
         "deit_tiny_distilled_patch16_224": 48, "vit_small_patch14_reg4_dinov2": 42, "convmixer_768_32": 56}  # fmt: skip
# Weights for images of one side, and the images that they are brought to: `[height, width]`.
RESIZED = {"vit_tiny_patch16_224": (48, [80, 64]), "vit_small_patch14_reg4_dinov2": (42, [28, 56]), "deit_tiny_distilled_patch16_224": (48, [96, 96]),
           "swin_t": (224, [448, 448])}  # fmt: skip
# Gradients of weights with more numbers are left out, so that the files stay small.
LARGEST_GRADIENT = 600


def fill(model):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.from_numpy(value(name, tuple(tensor.shape))))
    return model.eval()


# Parameters that no module holds, which a Dense layer on a one has.
ALONE = ("beta", "class_token", "cls_token", "dist_token", "pos_embed", "pos_embedding", "reg_token",
         "relative_position_bias_table")  # fmt: skip


def keras_path(model, name, gradient):
    """Where frostline keeps a parameter, and its gradient in that layout."""
    module, _, last = name.rpartition(".")
    if last in ALONE:
        return f"{name}/kernel", gradient.reshape(1, -1)
    if last in ("alpha", "gamma", "layer_scale", "ls1", "ls2", "scale"):
        return f"{name}/gamma", gradient.reshape(-1)
    if last.startswith("in_proj_"):
        of = {"in_proj_weight": ("kernel", gradient.T), "in_proj_bias": ("bias", gradient)}
        return f"{module}.in_proj/{of[last][0]}", of[last][1]
    kind = model.get_submodule(module)
    if isinstance(kind, (torch.nn.BatchNorm2d, torch.nn.GroupNorm, torch.nn.LayerNorm)):
        return f"{module}/{'gamma' if last == 'weight' else 'beta'}", gradient
    if last == "bias":
        return f"{module}/bias", gradient
    if isinstance(kind, GlobalResponseNorm):
        return f"{module}/kernel", gradient.reshape(1, 1, -1, 1)
    # a Linear layer of timm's may be a convolution
    if isinstance(kind, torch.nn.Linear) or ".mlp.fc" in module:
        return f"{module}/kernel", gradient.flatten(1).T
    if isinstance(kind, torch.nn.Conv1d):
        return f"{module}/kernel", gradient.permute(2, 1, 0)
    depthwise = kind.groups > 1 and kind.groups == kind.out_channels
    return f"{module}/kernel", gradient.permute((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def gradients(model, images):
    """Mean squared error against a fixed target, BatchNormalization by its moving statistics."""
    target = torch.from_numpy(value("target", (len(images), CLASSES)))
    loss = torch.nn.functional.mse_loss(model(images), target)
    loss.backward()
    found = {
        "target_0": target.numpy(),
        "loss": np.float32(loss.item()),
        "loss_name": np.array("mean_squared_error"),
    }
    for name, parameter in model.named_parameters():
        if parameter.numel() <= LARGEST_GRADIENT:
            path, gradient = keras_path(model, name, parameter.grad)
            found[f"grad/{path}"] = gradient.contiguous().numpy()
    return found


def settings(model):
    """What no output shows, or hardly: by the names of the modules where it differs between them."""
    found = {"BatchNormalization": [], "LayerNormalization": [], "Dropout": {}, "StochasticDepth": {}}
    for name, module in model.named_modules():
        if name.startswith(("aux", "AuxLogits")):
            continue  # only training uses them
        if isinstance(module, torch.nn.BatchNorm2d):
            found["BatchNormalization"].append([module.eps, module.momentum])
        elif isinstance(module, torch.nn.LayerNorm):
            found["LayerNormalization"].append([module.eps])
        elif isinstance(module, torch.nn.Dropout) and module.p > 0:
            found["Dropout"][name] = module.p
        elif isinstance(module, torchvision.ops.StochasticDepth) and module.p > 0:
            block = model.get_submodule(name.rpartition(".")[0])
            if getattr(block, "use_res_connect", True):
                found["StochasticDepth"][name] = module.p
    for norm in "BatchNormalization", "LayerNormalization":
        found[norm] = [list(each) for each in sorted({tuple(each) for each in found[norm]})]
    return found


def write(folder, name, architecture, model):
    size = SIZES.get(architecture, SIZE)
    shape = (1 if size > 200 else BATCH, 3, size, size)
    images = torch.from_numpy(value("input", shape))
    write_outputs(folder, name, architecture, fill(model), model, images)
    if name in GRADIENTS:
        found = gradients(model, images)
        np.savez_compressed(folder / f"{name}.npz", **found)
        print(f"{name}: {sum(key.startswith('grad/') for key in found)} gradients")


def write_resized(folder, architecture, side, size):
    """What weights for images of one size make of images of another, as timm loads them, or as torchvision runs them."""
    images = torch.from_numpy(value("input", (1, 3, *size)))
    if architecture in TORCHVISION:
        own = run = fill(torchvision.models.get_model(architecture, num_classes=CLASSES))
    else:
        own = fill(timm.create_model(architecture, num_classes=CLASSES, img_size=side))
        run = timm.create_model(architecture, num_classes=CLASSES, img_size=tuple(size)).eval()
        run.load_state_dict(checkpoint_filter_fn(own.state_dict(), run))
    write_outputs(folder, architecture, architecture, own, run, images)


def write_outputs(folder, name, architecture, model, run, images):
    """The tensors of a model, and the outputs of the one that is run."""
    shape = images.shape
    with torch.no_grad():
        output = run(images).numpy()
    golden = {
        "architecture": architecture,
        "input": list(shape),
        "settings": settings(model),
        "output": [[float(f"{number:.9g}") for number in row] for row in output],
        "tensors": {key: list(tensor.shape) for key, tensor in model.state_dict().items()},
    }
    text = json.dumps(golden).replace(", \"", ",\n\"") + "\n"
    (folder / f"{name}.json").write_text(text)
    print(f"{name}: {len(golden['tensors'])} tensors, outputs to {np.abs(output).max():.3g}, "
          f"the images differ by {np.abs(output[0] - output[-1]).max():.3g}")  # fmt: skip


def features_of_vgg():
    parts = {"features": torchvision.models.vgg11().features, "pool": torch.nn.AdaptiveAvgPool2d(1)}
    return torch.nn.Sequential(collections.OrderedDict(parts, flatten=torch.nn.Flatten()))


def models():
    for name in TORCHVISION:
        # these draw their first weights for minutes
        drawn = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        build = lambda name=name, drawn=drawn: torchvision.models.get_model(name, num_classes=CLASSES, **drawn)  # noqa: E731
        yield f"torchvision-{name}", name, build
    for name, architecture in TIMM.items():
        yield f"timm-{name}", architecture, lambda name=name: timm.create_model(name, num_classes=CLASSES)
    for name in TIMM_ALONE:
        size = {"img_size": SIZES[name]} if name.startswith(("vit_", "deit_")) else {}
        yield f"timm-{name}", name, lambda name=name, size=size: timm.create_model(name, num_classes=CLASSES, **size)
    # the fully connected layers of a VGG are large
    yield "headless-vgg11", "vgg11", features_of_vgg
    for name, architecture in HEADLESS.items():
        yield f"headless-{name}", architecture, lambda name=name: timm.create_model(name, num_classes=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    for name, architecture, build in models():
        if not arguments.names or name in arguments.names:
            write(arguments.folder, name, architecture, build())
    for architecture, (side, size) in RESIZED.items():
        if not arguments.names or f"resized/{architecture}" in arguments.names:
            (arguments.folder / "resized").mkdir(exist_ok=True)
            write_resized(arguments.folder / "resized", architecture, side, size)


if __name__ == "__main__":
    main()
