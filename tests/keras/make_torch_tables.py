"""Writes the two tables that frostline reads about the architectures of torchvision and timm, from the libraries themselves:

- `pretrained.tsv`: how each set of pretrained weights was shown its images. The default of an architecture stands first.
- `twins.tsv`: names whose state dicts have the same names and shapes of tensors, one group a line, where one of them is known.

    pip install -r tests/keras/requirements-torch.txt
    python tests/keras/make_torch_tables.py

No weights are made or downloaded.
"""

import collections
import math

import timm
import torch
import torchvision
from check_torch_names import TABLES, names
from timm.models import get_pretrained_cfg
from torchvision.transforms import InterpolationMode

KNOWN = {
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "imagenet",
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)): "half",
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)): "unit",
}
# With pretrained weights these change what they are shown from ImageNet's mean and deviation to a half, in the model itself.
TRANSFORMS_INPUT = ("googlenet", "inception_v3")


def numbers(mean, deviation):
    key = (tuple(mean), tuple(deviation))
    return KNOWN.get(key) or "/".join(",".join(f"{number:.9g}" for number in three) for three in key)


def of_timm(name):
    tags = timm.list_pretrained(name, exclude_filters="")
    tags = [tag for tag in tags if tag.split(".")[0] == name]
    default = get_pretrained_cfg(name)
    tags.sort(key=lambda tag: (default is None or tag.partition(".")[2] != default.tag, tag))
    for tag in tags:
        cfg = get_pretrained_cfg(tag)
        height, width = cfg.input_size[1:]
        yield "timm", name, tag.partition(".")[2], f"{height}x{width}", cfg.interpolation, numbers(cfg.mean, cfg.std)


def of_torchvision(name):
    weights = torchvision.models.get_model_weights(name)
    # torchvision's own default is its newest; the first is what most state dicts come from, and its images are no smaller
    for one in weights:
        shown = one.transforms()
        filters = {InterpolationMode.BILINEAR: "bilinear", InterpolationMode.BICUBIC: "bicubic"}
        size = shown.crop_size[0]
        mean = "half" if name in TRANSFORMS_INPUT else numbers(shown.mean, shown.std)
        yield "torchvision", name, one.name, f"{size}x{size}", filters[shown.interpolation], mean


def signature(library, name):
    """The names and shapes of a state dict. Positions are as many as a square image has patches, and tokens besides: only how
    many those are counts."""
    with torch.device("meta"):
        if library == "timm":
            model = timm.create_model(name, num_classes=1000)
        else:
            model = torchvision.models.get_model(name, weights=None)
    return frozenset(
        (key, besides(tensor.shape[1]) if key.endswith("pos_embed") else tuple(tensor.shape))
        for key, tensor in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    )


def besides(positions):
    return positions - math.isqrt(positions) ** 2


def twins(known):
    modules = {timm.models.model_entrypoint(name).__module__.split(".")[-1] for library, name, _ in known if library == "timm"}
    groups = collections.defaultdict(list)
    for module in sorted(modules):
        for name in timm.list_models(module=module):
            try:
                groups[signature("timm", name)].append(name)
            except Exception as error:  # what meta tensors cannot build
                print(f"{name} was not built: {error}")
    own = {name for _, name, _ in known}
    return [group for group in groups.values() if len(group) > 1 and own & set(group)]


def main():
    known = names()
    rows = []
    for library, name, _ in known:
        rows.extend(of_timm(name) if library == "timm" else of_torchvision(name))
        if library == "torchvision" and name in timm.list_models() and ("timm", name) not in {key[:2] for key in known}:
            rows.extend(of_timm(name))
    head = "# Written by tests/keras/make_torch_tables.py with torchvision "
    head += f"{torchvision.__version__.split('+')[0]} and timm {timm.__version__}.\n"
    lines = ["\t".join(row) for row in dict.fromkeys(rows)]
    (TABLES / "pretrained.tsv").write_text(
        head + "# library\tname\ttag\theight x width\tfilter\tmean/deviation\n" + "\n".join(lines) + "\n"
    )
    groups = ["\t".join(group) for group in sorted(twins(known))]
    (TABLES / "twins.tsv").write_text(head + "\n".join(groups) + "\n")
    print(f"{len(lines)} sets of weights, {len(groups)} groups of twins")


if __name__ == "__main__":
    main()
