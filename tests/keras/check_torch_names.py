"""Compares every architecture that `--arch` knows with real PyTorch, torchvision and timm, and writes docs/pytorch-names.md.

Each is built by its library with random weights and saved as a state dict,
and run by frostline: outputs and gradients of small weights are compared by `frostline verify`. Then it is converted: the
`.keras` file is loaded and run by real Keras, the `.onnx` file by ONNX Runtime. Images are as small as the network takes them.

    pip install -r tests/keras/requirements-torch.txt onnxruntime
    python tests/keras/check_torch_names.py --keras .venv/bin/python results.jsonl [NAME…]
    python tests/keras/check_torch_names.py --table results.jsonl > docs/pytorch-names.md

What stands in results.jsonl is not done again. All names take hours and 20 GB of memory.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
from torch_formula import spread_of, value

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLES = ROOT / "crates/formats/src/safetensors/torch"
CLASSES = 10
# Gradients of weights with more numbers are not compared.
LARGEST_GRADIENT = 2048
# Where rounding turns a ReLU on in one and off in the other, gradients differ by more than this: then another image is taken.
FLIPPED = 1e-3
MOST_IMAGES = 2

# Loads .keras files and runs them: a line with the paths of a model and of an .npz, and an answer.
KERAS = """
import os, sys, json, warnings
warnings.filterwarnings("ignore")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
for line in sys.stdin:
    path, images = json.loads(line)
    model = keras.models.load_model(path)
    made = keras.ops.convert_to_numpy(model(np.load(images)["input_0"], training=False))
    print("RESULT " + json.dumps(np.asarray(made, dtype="float64").tolist()), flush=True)
    keras.backend.clear_session()
"""


def names():
    """(library, name, family) of every line of the tables."""
    families = re.findall(r'entries\("([^"]+)", (\w+)::(\w+)\)', (TABLES / "registry.rs").read_text())
    found = []
    for family, module, table in families:
        file = next(path for path in (TABLES / f"{module}.rs", TABLES / module / "table.rs") if path.exists())
        text = file.read_text()
        begin = re.search(rf"\bconst {table}: ", text).end()
        text = text[begin : text.index("];", begin + text[begin:].index("= &["))]
        line = re.compile(r'\b(both|timm|torchvision|named)\(\s*"([^"]+)"(?:,\s*"([^"]+)")?')
        for kind, first, second in line.findall(text):
            if kind in ("both", "torchvision", "named"):
                found.append(("torchvision", first, family))
            # the modules of these have the same names in both
            same = kind == "both" and module in ("resnet", "densenet")
            if kind in ("both", "timm", "named") and not same:
                found.append(("timm", second or first, family))
    return found


def smallest(library, name):
    """Arguments of the constructor and the side of the images."""
    patch = re.search(r"patch(\d+)", name)
    if library == "torchvision" and name.startswith("vit_"):
        side = 3 * int(name.split("_")[2])
        return {"image_size": side}, side
    if re.match(r"(vit_|deit|eva_|flexivit)", name):
        side = 3 * int(patch.group(1) if patch else 16)
        return {"img_size": side}, side
    if name.startswith(("swin_", "mixer", "resmlp", "vgg", "alexnet")):
        return {}, 384 if name.endswith("_384") else 224
    if name == "inception_v3":
        return {}, 160
    if name.startswith("convmixer"):
        return {}, 56
    return {}, 64


def build(library, name, classes=CLASSES):
    import timm
    import torchvision

    arguments, side = smallest(library, name)
    if library == "torchvision":
        if name in ("inception_v3", "googlenet"):
            arguments["init_weights"] = False
        model = torchvision.models.get_model(name, weights=None, num_classes=classes, **arguments)
    else:
        model = timm.create_model(name, num_classes=classes, **arguments)
    return model, side


def fill(model, side):
    """Random weights with the spread of the goldens'. Statistics are those of random images, and normalised values small, so that
    deep networks neither fade out nor blow up rounding."""
    import torch

    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                middle, spread = spread_of(name, tuple(tensor.shape))
                tensor.uniform_(middle - spread, middle + spread)
        model.eval()
        for norm in norms:
            norm.weight.uniform_(0.1, 0.3)
            norm.train()
            norm.momentum = 1.0
        if norms:
            model(torch.empty(8, 3, side, side).uniform_(-2, 2))
    return model.eval()


def verified(frostline, file, name, against):
    run = subprocess.run(
        [frostline, "verify", file, "--arch", name, "--against", against, "--json", "--quiet"],
        capture_output=True,
        text=True,
    )
    try:
        found = json.loads(run.stdout)
    except json.JSONDecodeError:
        raise RuntimeError((run.stderr or run.stdout)[-1500:]) from None
    return found


def computed(model, side, number):
    """What PyTorch makes of random images, in the form of `frostline verify --against`."""
    import torch
    from make_torch_goldens import keras_path

    batch = 1 if side > 200 else 2
    draw = torch.Generator().manual_seed(number)
    images = torch.empty(batch, 3, side, side).uniform_(-2, 2, generator=draw)
    target = torch.from_numpy(value("target", (batch, CLASSES)))
    model.zero_grad()
    output = model(images)
    output = output[0] if isinstance(output, tuple) else output
    loss = torch.nn.functional.mse_loss(output, target)
    loss.backward()
    reference = {
        "input_0": images.permute(0, 2, 3, 1).contiguous().numpy(),
        "output_0": output.detach().numpy(),
        "target_0": target.numpy(),
        "loss": np.float32(loss.item()),
        "loss_name": np.array("mean_squared_error"),
    }
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            path, gradient = keras_path(model, key, parameter.grad)
            reference[f"grad/{path}"] = gradient.contiguous().numpy()
    return reference


def check(frostline, keras, library, name, folder, most_converted):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    start = time.time()
    model, side = build(library, name)
    fill(model, side)
    count = sum(parameter.numel() for parameter in model.parameters())
    # frozen but for the small weights, so that no other gradient takes memory
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.numel() <= LARGEST_GRADIENT)
    file, against = folder / "model.safetensors", folder / "reference.npz"
    save_file(model.state_dict(), file)
    for tries in range(1, MOST_IMAGES + 1):
        reference = computed(model, side, tries)
        np.savez(against, **reference)
        found = verified(frostline, file, name, against)
        differences = {line["name"]: line["difference"] for line in found["differences"]}
        forward = differences.pop("output_0")
        if max(differences.values(), default=0.0) <= FLIPPED:
            break
    output = reference["output_0"]
    del model
    result = {
        "library": library,
        "name": name,
        "parameters": count,
        "side": side,
        "forward": forward,
        "tries": tries,
        "gradients": len(differences) - ("loss" in differences),
        "gradient": max(differences.values(), default=None),
        "median": float(np.median(list(differences.values()))) if differences else None,
    }
    if count <= most_converted:
        scale = float(np.abs(output).max())
        distance = lambda made: float(np.abs(np.asarray(made) - output).max()) / scale  # noqa: E731
        for ending in ("keras", "onnx"):
            subprocess.run(
                [frostline, "convert", file, "--arch", name, "-o", folder / f"model.{ending}", "--quiet"],
                check=True,
                capture_output=True,
                text=True,
            )
        file.unlink()
        keras.stdin.write(json.dumps([str(folder / "model.keras"), str(against)]) + "\n")
        keras.stdin.flush()
        while not (line := keras.stdout.readline()).startswith("RESULT "):
            if not line:
                raise RuntimeError("Keras ended: it could not load or run the model")
        result["keras"] = distance(json.loads(line[7:]))
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        pixels = reference["input_0"]
        if given.shape[1] == 3 and given.shape[-1] != 3:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        result["onnx"] = distance(session.run(None, {given.name: pixels})[0])
    result["seconds"] = round(time.time() - start, 1)
    return result


def table(results):
    """The table of docs/pytorch-names.md."""
    known = names()
    print("# Architectures of PyTorch\n")
    print("What `--arch` knows, by the names of torchvision and timm; a tag of timm may follow: `resnet50.a1_in1k`.\n")
    print("Made by `tests/keras/check_torch_names.py`, which says how: each name in the tables was filled with random weights and")
    print("compared with PyTorch on images of the side given. Differences of outputs are shares of the largest output, those of")
    print("gradients are in relative norm, the largest of so many small weights. Where rounding turns a ReLU on in one and off in")
    print("the other they differ by up to a tenth, as PyTorch's own do in 32 and 64 bits; then another image may be taken, which a")
    print("number in brackets says. `.keras` was loaded and run by Keras, `.onnx` by ONNX Runtime; – where a model was not converted.")
    print("Names below a table are built by the same code from other numbers of the same kinds, and were not run beside PyTorch.")
    number = lambda value: "–" if value is None else f"{value:.1e}"  # noqa: E731
    for family in dict.fromkeys(family for _, _, family in known):
        print(f"\n## {family}\n")
        own = [result for result in results if (result["library"], result["name"], family) in known]
        if own:
            print("| `--arch` | library | weights | side | forward | gradients | `.keras` | `.onnx` |")
            print("|---|---|---:|---:|---|---|---|---|")
        for result in own:
            gradients = f"{number(result['gradient'])} of {result['gradients']}"
            if result.get("tries", 1) > 1:
                gradients += f" ({result['tries']})"
            print(
                f"| `{result['name']}` | {result['library']} | {result['parameters'] / 1e6:.1f} M | {result['side']} "
                f"| {number(result['forward'])} | {gradients} | {number(result.get('keras'))} | {number(result.get('onnx'))} |"
            )
        compared = {result["name"] for result in own}
        rest = [name for _, name, of in known if of == family and name not in compared]
        if rest:
            print("\nNot compared: " + ", ".join(f"`{name}`" for name in dict.fromkeys(rest)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--frostline", default=ROOT / "target/release/frostline", type=pathlib.Path)
    parser.add_argument("--keras", default=ROOT / ".venv/bin/python", type=pathlib.Path)
    parser.add_argument(
        "--most-converted", type=float, default=1e12, help="convert no model with more weights to .keras and .onnx"
    )
    parser.add_argument("--most", type=float, default=1e12, help="no model with more weights")
    arguments = parser.parse_args()
    lines = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    done = [json.loads(line) for line in lines]
    if arguments.table:
        order = {key[:2]: at for at, key in enumerate(names())}
        known = [result for result in done if (result["library"], result["name"]) in order and "error" not in result]
        table(sorted(known, key=lambda result: order[result["library"], result["name"]]))
        return
    seen = {(result["library"], result["name"]) for result in done if "error" not in result}
    keras, failed = None, 0
    for library, name, family in names():
        wanted = not arguments.names or name in arguments.names or family in arguments.names
        if not wanted or (library, name) in seen or weights(library, name) > arguments.most:
            continue
        if keras is None or keras.poll() is not None:
            keras = subprocess.Popen(
                [arguments.keras, "-c", KERAS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        with tempfile.TemporaryDirectory() as folder:
            try:
                result = check(
                    arguments.frostline, keras, library, name, pathlib.Path(folder), arguments.most_converted
                )
            except Exception as error:
                failed += 1
                why = getattr(error, "stderr", None) or str(error)
                result = {"library": library, "name": name, "error": why[-1500:]}
        print(json.dumps(result), flush=True)
        with arguments.results.open("a") as file:
            file.write(json.dumps(result) + "\n")
    sys.exit(1 if failed else 0)


def weights(library, name):
    """How many there are, without making any."""
    import torch

    try:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in build(library, name)[0].parameters())
    except NotImplementedError:  # torchvision's RegNet computes its widths with tensors
        return 0


if __name__ == "__main__":
    main()
