"""The ONNX graphs of tests/keras/onnx: real models of torchvision and timm, exported by PyTorch's two exporters, their large
weights taken out (onnx_weights.py puts others in).

    pip install -r tests/keras/requirements-onnx-goldens.txt
    python tests/keras/make_onnx_goldens.py [NAME...]
"""

import io
import sys
import warnings
from pathlib import Path

import onnx
import timm
import torch
import torchvision
from onnx_weights import strip

FOLDER = Path(__file__).parent / "onnx"
OPSET, OPSET_OF_ATTENTION = 13, 14
# the exporter with symbols of TorchScript, and that of dynamo, each where the graph differs in more than names
MODELS = {
    "resnet18.torchscript": lambda: torchvision.models.resnet18(),
    "resnet18.dynamo": lambda: torchvision.models.resnet18(),
    "mobilenet_v3_small.torchscript": lambda: torchvision.models.mobilenet_v3_small(),
    "mobilenet_v3_small.dynamo": lambda: torchvision.models.mobilenet_v3_small(),
    "efficientnet_b0.torchscript": lambda: torchvision.models.efficientnet_b0(),
    # a flatten of 7 x 7 pixels below a dense layer
    "vgg11.torchscript": lambda: torchvision.models.vgg11(),
    # BatchNormalization in front of convolutions, which no exporter folds
    "densenet121.torchscript": lambda: torchvision.models.densenet121(),
    # average pooling with ceil_mode
    "resnet18d.torchscript": lambda: timm.create_model("resnet18d"),
    # LayerNormalization and GELU taken apart, layer scale
    "convnext_atto.torchscript": lambda: timm.create_model("convnext_atto"),
    "convnext_atto.dynamo": lambda: timm.create_model("convnext_atto"),
    # grouped convolutions
    "regnetx_002.torchscript": lambda: timm.create_model("regnetx_002"),
    # paddings computed from shapes
    "tf_efficientnet_lite0.torchscript": lambda: timm.create_model("tf_efficientnet_lite0"),
    # attention over heads, over windows that are shifted, and with the tokens in front of the batch
    "vit.torchscript": lambda: small_vit(),
    "vit.dynamo": lambda: small_vit(),
    "swin.torchscript": lambda: small_swin(),
    "swin.dynamo": lambda: small_swin(),
    "vit_of_torchvision.dynamo": lambda: torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=10
    ),
    # kernels that are standardised when they are used
    "nfnet.torchscript": lambda: timm.create_model("test_nfnet", num_classes=10),
    # a convolution over the channels' means
    "eca.torchscript": lambda: timm.models.ByobNet(timm.models.byobnet.ByoModelCfg(
        blocks=2 * (timm.models.byobnet.ByoBlockCfg(type="bottle", d=1, c=32, s=2),), stem_chs=16, attn_layer="eca",
    ), num_classes=10),
    # channels shuffled and split: it loads, and has to be cut below
    "shufflenet_v2_x0_5.torchscript": lambda: torchvision.models.shufflenet_v2_x0_5(),
}


SMALL = {"vit", "swin", "vit_of_torchvision", "nfnet", "eca"}


def small_vit() -> torch.nn.Module:
    return timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10, reg_tokens=2, init_values=0.1
    )


def small_swin() -> torch.nn.Module:
    return timm.models.SwinTransformer(
        img_size=32, patch_size=2, window_size=4, embed_dim=16, depths=(2, 2), num_heads=(2, 4), num_classes=10
    )


def varied(model: torch.nn.Module) -> torch.nn.Module:
    """Statistics and biases of a new model are zeros and ones, which exporters leave out."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            noise = 0.1 * torch.rand(tensor.shape)
            tensor.add_(noise)
    return model.eval()


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    wanted = set(sys.argv[1:]) or set(MODELS)
    for name, make in ((name, make) for name, make in MODELS.items() if name in wanted):
        model = varied(make())
        size = 32 if name.split(".")[0] in SMALL else 224
        images = torch.randn(2, 3, size, size)
        file = io.BytesIO()
        names = {"input_names": ["input"], "output_names": ["output"]}
        if name.endswith(".dynamo"):
            batch = ({0: torch.export.Dim("batch")},)
            program = torch.onnx.export(model, (images,), dynamo=True, dynamic_shapes=batch, verbose=False, **names)
            proto = program.model_proto
        else:
            axes = {"input": {0: "batch"}, "output": {0: "batch"}}
            opset = OPSET if size == 224 else OPSET_OF_ATTENTION
            torch.onnx.export(model, (images,), file, dynamo=False, opset_version=opset, dynamic_axes=axes, **names)
            proto = onnx.load_from_string(file.getvalue())
        strip(proto)
        path = FOLDER / f"{name}.onnx"
        path.write_bytes(proto.SerializeToString(deterministic=True))
        print(f"{path.name}: {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
