"""One model of every family of classifiers of torchvision and timm, as export_families.py wrote it: frostline loads it, computes
with it, trains it, and writes it as `.keras` and as `.onnx`; real Keras and ONNX Runtime run these.

    python tests/keras/families.py FOLDER docs/models.md
    python tests/keras/families.py FOLDER docs/models.md --outputs-alone

`FOLDER` is that of export_families.py, and keeps each row. The document keeps its rows of models that are not there. The second command compares outputs alone, of what has no row yet: it
takes minutes where the first takes hours. A row holds differences: of outputs the largest as a share of the
largest output, of gradients and of weight changes the norm as a share of theirs.
"""

import functools
import json
import multiprocessing
import pathlib
import re
import sys
import tempfile

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))

import conftest  # sets the backend
import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from conftest import relative
from gallery import norm_of, trainable

tf.config.threading.set_intra_op_parallelism_threads(1)
onnxruntime.set_default_logger_severity(4)

OUTPUT, GRADIENT, STEP = 1e-4, 1e-3, 1e-3
# Two ways to add numbers in float32 may differ by so many times as much as one of them from PyTorch.
NOISE = 4.0
RATE = 1e-3
HEADER = ["model", "parameters", "image", "exporter", "cuts", "forward", "gradient", "step", "`.keras`", "`.onnx`", "whole"]


def ran(path, **inputs):
    """What ONNX Runtime makes of it."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, settings).run(None, inputs)[0]


def examine(stem, frostline, folder, outputs_alone):
    """The row of a model."""
    record = json.loads(stem.with_suffix(".json").read_text())
    if "failed" in record:
        return record | {"reason": f"neither exporter writes it: {record['failed']}"}
    arrays = np.load(stem.with_suffix(".npz"))
    x, expected = arrays["input"].transpose(0, 2, 3, 1), arrays["output"]
    path = stem.with_suffix(".onnx")
    record["cuts"] = sum(1 for layer in frostline.json("inspect", path)["layers"] if layer["cut"])
    found = frostline.outputs(path, x, folder)
    record["forward"] = float(relative(found, expected))
    record["forward_of_runtime"] = float(relative(ran(path, input=arrays["input"]), expected))
    if outputs_alone:
        return record
    for ending in "keras", "onnx":
        frostline.done("convert", path, "-o", folder / f"back.{ending}")
    name = onnxruntime.InferenceSession(folder / "back.onnx").get_inputs()[0].name
    record["onnx"] = float(relative(ran(folder / "back.onnx", **{name: x}), found))
    model = keras.models.load_model(folder / "back.keras")
    record["keras"] = float(relative(model(x, training=False), found))
    learn(record, model, x, found, frostline, folder)
    return record


def learn(record, model, x, output, frostline, folder):
    """Gradients of a mean squared error, and a step by them, beside those of Keras."""
    spread = np.random.default_rng(3).normal(size=output.shape)
    target = (output + np.abs(output).max() * 0.1 * spread).astype("float32")
    variables = trainable(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=False) - target))
    slopes = tape.gradient(loss, [variable.value for variable in variables.values()])
    slopes = {key: np.asarray(slope) for key, slope in zip(variables, slopes) if slope is not None}
    reference = {f"grad/{key}": slope for key, slope in slopes.items()}
    np.savez(
        folder / "slopes.npz", input_0=x, target_0=target, loss=np.float32(loss), loss_name="mean_squared_error", **reference
    )
    result = frostline.run("verify", folder / "back.keras", "--against", folder / "slopes.npz", "--json")
    assert result.stdout, result.stderr
    shares = {entry["name"].removeprefix("grad/"): entry["difference"] for entry in json.loads(result.stdout)["differences"]}
    norms = {key: norm_of([slope]) for key, slope in slopes.items()}
    # `verify` gives shares of each gradient's norm, or of a thousandth of all norms where that is more
    apart = [shares[key] * max(norm, 1e-3 * sum(norms.values())) for key, norm in norms.items()]
    record["gradient"] = float(norm_of(apart) / norm_of(slopes.values()))
    # a step whose size is that of the gradient, whatever the outputs are
    rate = RATE * norm_of(variable.numpy() for variable in variables.values()) / norm_of(slopes.values())
    np.savez(folder / "data.npz", x_train=x, y_train=target)
    run = folder / "run"
    frostline.done(
        *("train", folder / "back.keras", folder / "data.npz", "-o", run, "--head", "keep", "--freeze", "none"),
        *("--loss", "mean_squared_error", "--optimizer", "sgd", "--lr", rate, "--batch", len(x), "--epochs", 1),
        *("--no-shuffle", "--val", 0, "--preprocess", "none", "--batch-norm", "frozen", "--no-cache", "--task", "numbers"),
    )
    before = {key: variable.numpy() for key, variable in variables.items()}
    after = {key: variable.numpy() for key, variable in trainable(keras.models.load_model(run / "model.keras")).items()}
    moved = [after[key] - (before[key] - rate * slope) for key, slope in slopes.items()]
    record["step"] = float(norm_of(moved) / (rate * norm_of(slopes.values())))


def is_whole(record):
    return "step" in record and computes(record)


def computes(record):
    """Whether all that was compared holds."""
    if "reason" in record:
        return False
    output = max(OUTPUT, NOISE * record["forward_of_runtime"])
    limits = {
        "forward": output,
        "keras": output,
        "onnx": output,
        "gradient": max(GRADIENT, NOISE * record["forward_of_runtime"]),
        "step": max(STEP, NOISE * record["forward_of_runtime"]),
    }
    return all(record[key] < limit for key, limit in limits.items() if key in record)


def cells(record):
    head = [record["name"], f"{record['parameters'] / 1e6:.1f} M" if "parameters" in record else "", str(record.get("size", ""))]
    head += [record.get("exporter", "none"), str(record.get("cuts", ""))]
    if "reason" in record:
        return [*head, "", "", "", "", "", "no: " + reason(record["reason"])]
    number = lambda key: f"{record[key]:.0e}" if key in record else "–"
    noise = f" ({number('forward_of_runtime')})" if record["forward_of_runtime"] > OUTPUT / NOISE else ""
    numbers = [number("forward") + noise, *map(number, ("gradient", "step", "keras", "onnx"))]
    is_right = "yes" if is_whole(record) else "outputs" if computes(record) else "no"
    return [*head, *numbers, is_right]


def reason(message):
    """What a message says, in a cell, without paths."""
    found = re.search(r"the node `([^`]*)`: (.*?)(;|$)", message, re.DOTALL)
    text = f"`{found[1]}`: {found[2]}" if found else message
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # colours
    return re.sub(r"\s+", " ", re.sub(r"`[^`]*/[^`]*\.onnx`", "the file", text)).replace("|", "\\|")


def examined(stem, outputs_alone):
    known = json.loads(stem.with_suffix(".json").read_text())
    kept = stem.with_suffix(".row.json")
    if kept.exists():
        return json.loads(kept.read_text()) | known
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            record = examine(stem, conftest.Frostline(folder / "cache"), folder, outputs_alone)
        except Exception as error:  # the others are examined all the same
            record = known | {"reason": f"{type(error).__name__}: {error}"[:300]}
    if not outputs_alone:
        kept.write_text(json.dumps(record))
    return record


def table(lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in [HEADER, ["---"] * len(HEADER), *lines])


def rows(text, source):
    """The rows of a source in the document, by their names."""
    part = text.partition(f"\n## {source}\n")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in part.splitlines() if line.startswith("| ")]
    return {line[0]: line for line in lines[2:]}


def main(folder, document, *options):
    stems = sorted(path.with_suffix("") for path in pathlib.Path(folder).glob("*.json") if ".row" not in path.name)
    path = pathlib.Path(document)
    before, _, rest = path.read_text().partition("<!-- families -->\n")
    known, _, behind = rest.partition("<!-- end -->")
    lines = {source: rows(f"\n{known}", source) for source in ("torchvision", "timm")}
    # processes of their own, since Keras never gives back the memory of a model
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=8) as pool:
        examine_one = functools.partial(examined, outputs_alone="--outputs-alone" in options)
        for record in pool.imap(examine_one, stems, chunksize=1):
            line = cells(record)
            lines[record["source"]][record["name"]] = line
            print("| " + " | ".join(line) + " |", flush=True)
    parts = []
    for source, of in lines.items():
        of = [of[name] for name in sorted(of)]
        count = lambda word: sum(line[-1] == word for line in of)
        words = f"{count('yes')} of {len(of)} are whole"
        if count("outputs"):
            words += f"; of {count('outputs')} more the outputs alone were compared, and are right"
        parts.append(f"## {source}\n\n{words}.\n\n{table(of)}\n")
    path.write_text(f"{before}<!-- families -->\n" + "\n".join(parts) + f"<!-- end -->{behind}")


if __name__ == "__main__":
    main(*sys.argv[1:])
