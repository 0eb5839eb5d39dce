"""Gathers the seeds of fuzzing: files that real tools have written, in corpus/FORMAT/.

usage: make_seeds.py FROSTLINE

Goldens of the tests are taken as they are, where they are small; pictures are written by Pillow, arrays by NumPy, ONNX graphs by onnx, and runs
by frostline itself. It needs what tests/keras/requirements.txt lists.
"""

import base64
import io
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
CORPUS = HERE / "corpus"
GOLDEN = ROOT / "tests" / "golden"
DEMO = ROOT / "crates" / "cli" / "assets" / "demo"
# Larger files take long, and show no more.
LARGEST = 40_000


def seed(kind, name, content):
    folder = CORPUS / kind
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def goldens():
    for path in sorted([*GOLDEN.glob("*/*.keras"), *GOLDEN.glob("*/*.h5"), *GOLDEN.glob("keras/*.npz")]):
        if path.stat().st_size > LARGEST:
            continue
        kind = {".keras": "keras", ".npz": "npz"}.get(path.suffix, "weights_h5" if path.name.endswith(".weights.h5") else "h5")
        if kind != "npz" or path.stat().st_size < 4000:
            seed(kind, f"{path.parent.name}-{path.name}", path.read_bytes())


def written_by_frostline(frostline, folder):
    """The same models as safetensors and ONNX, weights of the models that they are put onto, and a run."""

    def convert(model, out):
        subprocess.run([frostline, "convert", model, "-o", out, "--quiet"], check=True, capture_output=True)
        return out.read_bytes()

    for name in ["dense", "nested_in_sequential", "conv_same_strided", "batch_norm", "attention_self", "lstm", "unet"]:
        path = GOLDEN / "keras" / f"{name}.keras"
        if not path.exists() or path.stat().st_size > LARGEST:
            continue
        seed("safetensors", f"{name}.safetensors", convert(path, folder / "m.safetensors"))
        seed("weights_h5", f"{name}.weights.h5", convert(path, folder / "m.weights.h5"))
    for path in sorted((GOLDEN / "keras").glob("*.keras")):
        if path.stat().st_size < LARGEST:
            made = subprocess.run([frostline, "convert", path, "-o", folder / "m.onnx", "--quiet"], capture_output=True)
            if made.returncode == 0:
                seed("onnx", f"own-{path.stem}.onnx", (folder / "m.onnx").read_bytes())
    run = folder / "run"
    line = [frostline, "train", DEMO / "my_model_A.h5", DEMO / "fashion_subset.npz", "-o", run, "--quiet", "--cache", folder / "cache"]
    subprocess.run(line, check=True, capture_output=True)
    stages = [*line[:5], folder / "stages", *line[6:], "--epochs", "2", "--unfreeze", "1", "--head", "dropout(0.2)"]
    subprocess.run(stages, check=True, capture_output=True)
    for index, path in enumerate([run / "run.json", folder / "stages" / "run.json"]):
        record = json.loads(path.read_text())
        seed("run_json", f"{index}.json", json.dumps(record))
    for path in [run / "novelty.json", run / "images.csv"]:
        if path.exists():
            seed("run_files", path.name, f"{path.name}\n{path.read_text()[:20_000]}")
    for path in sorted((folder / "cache").rglob("*.safetensors")):
        if path.stat().st_size < 4 * LARGEST:
            about = json.dumps(json.loads((path.parent / "about.json").read_text()))
            seed("cache", path.stem, about.encode() + b"\n" + path.read_bytes())


def graph(name, nodes, inputs, outputs, constants=(), opset=17):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    made = helper.make_graph(
        nodes,
        name,
        [value(*one) for one in inputs],
        [value(*one) for one in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    seed("onnx", f"{name}.onnx", model.SerializeToString())


def onnx_graphs():
    random = np.random.default_rng(0)
    floats = lambda *shape: random.standard_normal(shape).astype(np.float32)
    ints = lambda *numbers: np.array(numbers, np.int64)
    node = helper.make_node
    image = [("x", ["n", 3, 8, 8])]
    graph(
        "convolutions",
        [
            node("Pad", ["x", "pads"], ["p"]),
            node("Conv", ["p", "k", "kb"], ["c"], strides=[2, 2], kernel_shape=[3, 3]),
            node("BatchNormalization", ["c", "g", "b", "m", "v"], ["bn"]),
            node("Relu", ["bn"], ["r"]),
            node("Conv", ["r", "d"], ["dw"], group=4, pads=[1, 1, 1, 1]),
            node("Clip", ["dw", "zero", "six"], ["cl"]),
            node("Add", ["cl", "r"], ["a"]),
            node("MaxPool", ["a"], ["mp"], kernel_shape=[2, 2], ceil_mode=1),
            node("GlobalAveragePool", ["mp"], ["gap"]),
            node("Flatten", ["gap"], ["f"]),
            node("Gemm", ["f", "w", "wb"], ["logits"], transB=1),
            node("Softmax", ["logits"], ["y"]),
        ],
        image,
        [("y", ["n", 5])],
        [
            ("pads", ints(0, 0, 1, 1, 0, 0, 1, 1)),
            ("k", floats(4, 3, 3, 3)),
            ("kb", floats(4)),
            *[(name, np.abs(floats(4))) for name in "gbmv"],
            ("d", floats(4, 1, 3, 3)),
            ("zero", np.float32(0)),
            ("six", np.float32(6)),
            ("w", floats(5, 4)),
            ("wb", floats(5)),
        ],
    )
    graph(
        "attention",
        [
            node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
            node("Reshape", ["t", "tokens"], ["s"]),
            node("LayerNormalization", ["s", "g", "b"], ["ln"], axis=-1),
            *[node("MatMul", ["ln", f"w{part}"], [part]) for part in "qkv"],
            node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
            node("MatMul", ["q", "kt"], ["qk"]),
            node("Div", ["qk", "scale"], ["scaled"]),
            node("Softmax", ["scaled"], ["weights"], axis=-1),
            node("MatMul", ["weights", "v"], ["o"]),
            node("Add", ["o", "s"], ["res"]),
            node("ReduceMean", ["res"], ["mean"], axes=[1], keepdims=0),
            node("MatMul", ["mean", "w"], ["y"]),
        ],
        image,
        [("y", ["n", 2])],
        [
            ("tokens", ints(0, 64, 3)),
            ("g", floats(3)),
            ("b", floats(3)),
            *[(f"w{part}", floats(3, 3)) for part in "qkv"],
            ("scale", np.float32(1.7)),
            ("w", floats(3, 2)),
        ],
    )
    graph(
        "shapes",
        [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["n"], axis=0),
            node("Unsqueeze", ["n", "zero1"], ["n1"]),
            node("Concat", ["n1", "rest"], ["target"], axis=0),
            node("Reshape", ["x", "target"], ["r"]),
            node("Slice", ["r", "starts", "ends", "axes", "steps"], ["s"]),
            node("Split", ["s", "parts"], ["s1", "s2"], axis=1),
            node("Mul", ["s1", "s2"], ["m"]),
            node("Where", ["mask", "m", "half"], ["w"]),
            node("Resize", ["x", "", "", "sizes"], ["resized"], mode="linear", coordinate_transformation_mode="half_pixel"),
            node("ReduceMax", ["resized"], ["rm"], axes=[2, 3], keepdims=0),
            node("Concat", ["w", "rm"], ["y"], axis=1),
        ],
        image,
        [("y", ["n", 15])],
        [
            ("zero", np.array(0, np.int64)),
            ("zero1", ints(0)),
            ("rest", ints(192)),
            ("starts", ints(0)),
            ("ends", ints(48)),
            ("axes", ints(1)),
            ("steps", ints(2)),
            ("parts", ints(12, 12)),
            ("mask", np.array([True, False] * 6)),
            ("half", np.float32(0.5)),
            ("sizes", ints(1, 3, 4, 4)),
        ],
    )
    branch = helper.make_graph([node("Identity", ["x"], ["z"])], "branch", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    graph(
        "quantised_and_branches",
        [
            node("QuantizeLinear", ["x", "s", "z8"], ["q"]),
            node("DequantizeLinear", ["q", "s", "z8"], ["d"]),
            node("If", ["yes"], ["i"], then_branch=branch, else_branch=branch),
            node("ConvTranspose", ["d", "k"], ["t"], strides=[2, 2], output_padding=[1, 1]),
            node("DepthToSpace", ["t4"], ["ds"], blocksize=2),
            node("Conv", ["t", "k4"], ["t4"]),
            node("InstanceNormalization", ["ds", "g", "g"], ["in"]),
            node("HardSigmoid", ["in"], ["y"]),
        ],
        image,
        [("y", ["n", 1, 34, 34])],
        [
            ("s", np.float32(0.1)),
            ("z8", np.array(128, np.uint8)),
            ("yes", np.array(True)),
            ("k", floats(3, 2, 3, 3)),
            ("k4", floats(4, 2, 1, 1)),
            ("g", np.abs(floats(1))),
        ],
    )
    for path in sorted((ROOT / "tests" / "keras" / "onnx").glob("*.onnx")):
        if path.stat().st_size < LARGEST // 2:
            seed("onnx", path.name, path.read_bytes())


def arrays(folder):
    for kind in ["<f4", ">f4", "<f2", "<f8", "u1", "<u2", "<i8", "bool", "<U5", "S3"]:
        out = io.BytesIO()
        np.save(out, np.arange(24).reshape(2, 3, 4).astype(kind))
        seed("npy", f"{kind.strip('<>')}.npy", out.getvalue())
    out = io.BytesIO()
    np.save(out, np.asfortranarray(np.arange(24, dtype=np.float32).reshape(4, 6)))
    seed("npy", "fortran.npy", out.getvalue())
    x = np.arange(8 * 4 * 4, dtype=np.uint8).reshape(8, 4, 4)
    labels = np.arange(8) % 2
    for name, save, more in [
        ("classes", np.savez, {"y_train": labels}),
        ("packed", np.savez_compressed, {"y_train": labels, "x_test": x[:4], "y_test": labels[:4]}),
        ("names", np.savez, {"y_train": np.array(["cat", "dog"] * 4), "class_names": np.array(["cat", "dog"])}),
        ("labels", np.savez, {"y_train": np.eye(8, 3, dtype=np.uint8), "class_names": np.array(["a", "b", "c"])}),
        ("numbers", np.savez, {"y_train": np.linspace(0, 1, 8, dtype=np.float32)}),
        ("floats", np.savez, {"x_val": (x / 255).astype(np.float32), "y_val": labels, "y_train": labels}),
        ("words", np.savez, {"y_train": labels, "x_val": x.astype(np.uint16) * 257, "y_val": labels}),
    ]:
        path = folder / f"{name}.npz"
        save(path, x_train=x, **more)
        seed("npz", path.name, path.read_bytes())


def pictures():
    random = np.random.default_rng(1)
    colour = Image.fromarray(random.integers(0, 255, (9, 12, 3), np.uint8))
    kinds = {
        "rgb": colour,
        "grey": colour.convert("L"),
        "palette": colour.convert("P", palette=Image.Palette.ADAPTIVE, colors=7),
        "alpha": colour.convert("RGBA"),
        "bits": colour.convert("1"),
        "grey16": Image.fromarray(random.integers(0, 65535, (9, 12), np.uint16)),
        "cmyk": colour.convert("CMYK"),
        "plain": Image.new("RGB", (64, 48), (200, 30, 30)),
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    formats = {
        "png": [{}, {"optimize": True, "exif": exif}],
        "jpeg": [{"quality": 70}, {"progressive": True, "exif": exif}, {"subsampling": 0, "restart_marker_rows": 1}],
        "bmp": [{}],
        "gif": [{}, {"interlace": 1}],
        "tiff": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"}],
        "webp": [{}, {"lossless": True}, {"exif": exif}],
    }
    for kind, settings in formats.items():
        for index, more in enumerate(settings):
            for name, picture in kinds.items():
                out = io.BytesIO()
                try:
                    picture.save(out, kind, **more)
                except (OSError, ValueError):
                    continue
                seed("images", f"{name}-{index}.{kind}", out.getvalue())
    for kind in ["gif", "webp", "png"]:
        out = io.BytesIO()
        frames = [kinds["palette"], ImageOps.flip(kinds["palette"])]
        frames[0].save(out, kind, save_all=True, append_images=frames[1:])
        seed("images", f"moving.{kind}", out.getvalue())


def packed():
    """Tar files as WebDataset lays them out and in folders of classes; Parquet as Hugging Face writes it, and with other columns."""
    draw = np.random.default_rng(2)
    photos = []
    for _ in range(4):
        out = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (5, 7, 3), np.uint8)).save(out, "PNG")
        photos.append(out.getvalue())

    def tar(name, members, **settings):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", **settings) as archive:
            for path, content in members:
                about = tarfile.TarInfo(path)
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))
        seed("tar", f"{name}.tar", out.getvalue())

    classes = ["cat", "dog", "cat", "dog"]
    tar("folders", [(f"{label}/{index}.png", photo) for index, (label, photo) in enumerate(zip(classes, photos))])
    says = {"cls": lambda at: str(at % 2), "json": lambda at: json.dumps({"label": classes[at], "width": 7}), "txt": lambda at: classes[at]}
    for ending, said in says.items():
        members = [(f"a/{at:03}.{kind}", content) for at in range(4) for kind, content in [("png", photos[at]), (ending, said(at).encode())]]
        tar(ending, members, format=tarfile.GNU_FORMAT if ending == "cls" else tarfile.PAX_FORMAT)
    long = "a long name of a folder/" * 8
    tar("long_gnu", [(f"{long}{at}.png", photo) for at, photo in enumerate(photos)], format=tarfile.GNU_FORMAT)
    tar("long_pax", [(f"{long}é/{at}.png", photo) for at, photo in enumerate(photos)], format=tarfile.PAX_FORMAT)

    images = [{"bytes": photo, "path": f"{index}.png"} for index, photo in enumerate(photos)]
    about = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    tables = {
        "classes": ({"image": images, "label": [0, 1, 0, 1]}, {"huggingface": json.dumps(about)}, {}),
        "names": ({"image": photos, "label": classes}, {}, {"compression": "snappy", "use_dictionary": True}),
        "labels": ({"image": images, "labels": [["cat"], [], ["cat", "dog"], ["dog"]]}, {}, {"compression": "zstd"}),
        "numbers": ({"image": images, "target": [0.5, 1.5, None, -3.0]}, {}, {"compression": "gzip", "data_page_version": "2.0"}),
        "groups": ({"image": images, "label": ["cat", "dog", None, "dog"], "other": [1, 2, 3, 4]}, {}, {"row_group_size": 2}),
    }
    for name, (columns, metadata, settings) in tables.items():
        out = io.BytesIO()
        table = pa.table(columns)
        pq.write_table(table.replace_schema_metadata(metadata or None), out, **{"compression": "none", **settings})
        seed("parquet", f"{name}.parquet", out.getvalue())


def texts():
    rows = ["a.png,cat,train", "b.png,dog,val", "photos/c.png,cat,test", "é.png,dog,train", '"a.png","a, b",train']
    for name, text in {
        "classes": "path,label,split\n" + "\n".join(rows),
        "plain": "a.png,1\nb.png,2\nphotos/c.png,1\n",
        "labels": "path,label\na.png,cat|dog\nb.png,cat\nphotos/c.png,\n",
        "marks": "path;cat;dog;bird\na.png;1;0;0\nb.png;0;1;1\nphotos/c.png;0;0;0\n",
        "numbers": "image\ttarget\na.png\t0.5\nb.png\t-1.5e3\nphotos/c.png\t7\n",
    }.items():
        seed("csv", f"{name}.csv", text)
    seed("csv", "windows.csv", "\ufeffpath,label\r\na.png,cat\r\nb.png,dog\r\n")
    recipes = {
        "stages": """keep = "-1"
head = "gap dropout(0.3) dense(128,relu)"
augment = "flip rotate(0.1) brightness(0.2)"
views = 4
[[stage]]
name = "head"
epochs = 10
lr = 1e-3
optimizer = "sgd(momentum=0.9)"
[[stage]]
name = "fine"
epochs = 5
lr = "auto"
unfreeze = "all"
schedule = "cosine(warmup=0.1)"
""",
        "solve": "seed = 3\nimage_size = [64, 64]\nresize = \"pil-bilinear\"\npreprocess = \"tf\"\nval = 0.2\n[solve]\n",
        "gradual": "batch = 16\nclass_weights = \"balanced\"\nlabel_smoothing = 0.1\nclip_norm = 1.0\ngradual = true\n[[stage]]\nepochs = 3\nlr = 0.01\nunfreeze = 2\nbackbone_lr_factor = 0.1\n",
    }
    for name, text in recipes.items():
        seed("recipe", f"{name}.toml", text)
    config = {
        "architecture": "squeezenet1_1",
        "num_classes": 1000,
        "pretrained_cfg": {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    }
    seed("config_json", "timm.json", json.dumps(config))
    shards = {"metadata": {"total_size": 100}, "weight_map": {"/layers/dense/vars": "m_00000.weights.h5", "/layers/x/vars": ["m_00000.weights.h5", "m_00001.weights.h5"]}}
    seed("weights_json", "two.json", json.dumps(shards))
    seed("weights_json", "one.json", json.dumps({"weight_map": {"/layers/dense/vars": "m_00000.weights.h5"}}))


def requests():
    out = io.BytesIO()
    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(out, "PNG")
    picture = out.getvalue()
    encoded = base64.b64encode(picture).decode()
    rows = np.full((28, 28), 90).tolist()
    v1, v2 = "/v1/models/shoes", "/v2/models/shoes"

    def request(name, method, path, body=b"", kind="application/json", **headers):
        lines = [f"{method} {path}", f"content-type: {kind}", *[f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]]
        body = json.dumps(body).encode() if not isinstance(body, bytes) else body
        seed("requests", name, "\n".join(lines).encode() + b"\n\n" + body)

    request("picture", "POST", "/predict", picture, "image/png")
    request("explain", "POST", "/explain", picture, "image/png")
    boundary = b"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n" + picture + b"\r\n--b--\r\n"
    request("form", "POST", "/predict", boundary, "multipart/form-data; boundary=b")
    request("json", "POST", "/predict", {"images": [{"b64": encoded}]})
    request("instances", "POST", f"{v1}:predict", {"instances": [rows]})
    request("encoded", "POST", f"{v1}:predict", {"instances": [{"b64": encoded}, {"b64": encoded}]})
    request("columns", "POST", f"{v1}:predict", {"inputs": [rows], "signature_name": "serving_default"})
    request("classify", "POST", f"{v1}:classify", {"examples": [{"image": {"b64": encoded}}]})
    request("version", "POST", f"{v1}/versions/1:predict", {"instances": [rows]})
    tensor = {"name": "flatten_input", "shape": [1, 28, 28], "datatype": "FP32", "data": [rows]}
    request("infer", "POST", f"{v2}/infer", {"id": "1", "inputs": [tensor], "outputs": [{"name": "dense", "parameters": {"classification": 2}}]})
    request("bytes", "POST", f"{v2}/infer", {"inputs": [{"name": "flatten_input", "shape": [1], "datatype": "BYTES", "data": [encoded]}]})
    head = json.dumps({"inputs": [{"name": "flatten_input", "shape": [1, 28, 28], "datatype": "FP32", "parameters": {"binary_data_size": 28 * 28 * 4}}]})
    data = np.full((28, 28), 90, "<f4").tobytes()
    request("binary", "POST", f"{v2}/infer", head.encode() + data, "application/octet-stream", inference_header_content_length=len(head))
    strings = struct.pack("<I", len(picture)) + picture
    head = json.dumps({"inputs": [{"name": "flatten_input", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(strings)}}]})
    request("binary_bytes", "POST", f"{v2}/infer", head.encode() + strings, "application/octet-stream", inference_header_content_length=len(head))
    for path in ["/", "/info", "/metrics", "/openapi.json", v1, f"{v1}/metadata", v2, f"{v2}/ready", "/v2"]:
        request("get" + path.replace("/", "_"), "GET", path)


def main():
    frostline = pathlib.Path(sys.argv[1]).resolve()
    shutil.rmtree(CORPUS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        goldens()
        arrays(folder)
        pictures()
        packed()
        texts()
        requests()
        onnx_graphs()
        written_by_frostline(frostline, folder)
    for folder in sorted(CORPUS.iterdir()):
        sizes = [path.stat().st_size for path in folder.iterdir()]
        print(f"{folder.name}: {len(sizes)} seeds, {sum(sizes) >> 10} KB")


if __name__ == "__main__":
    main()
