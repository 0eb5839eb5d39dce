"""Writes torchvision's transformers with random weights as FOLDER/NAME.onnx, for bench/measure.py.

usage: make_transformers.py FOLDER
"""

import pathlib
import sys
import warnings

import torch
import torchvision

NAMES = ["vit_b_16", "swin_t"]
CLASSES = 10


def main(folder):
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    # attention as one operator of PyTorch's own cannot be exported
    torch.backends.mha.set_fastpath_enabled(False)
    images = torch.randn(2, 3, 224, 224)
    for name in NAMES:
        model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES).eval()
        torch.onnx.export(
            model, (images,), pathlib.Path(folder) / f"{name}.onnx", dynamo=False, opset_version=17,
            input_names=["input"], output_names=["output"], dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
