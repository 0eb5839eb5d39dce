"""Writes the tables that `frostline models` shows: `crates/cli/src/models/{timm,torchvision,keras}.tsv`. Nothing in them is measured
here but the parameters of Keras's models, which are counted. Each file names its source.

    python tests/keras/make_model_tables.py RESULTS WHEEL TABLE

RESULTS is `results/results-imagenet.csv` of the repository of timm, WHEEL an unpacked wheel of torchvision, which is read and not run,
TABLE the page of Keras Applications, `templates/api/applications/index.md` of the repository keras-io. Only what
frostline's `--arch` knows is taken of the first two.
"""

import ast
import csv
import inspect
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "crates" / "cli" / "src" / "models"
KNOWN = ROOT / "crates" / "formats" / "src" / "safetensors" / "torch" / "pretrained.tsv"


def known(library):
    """Name and tag -> the side of the images that the weights were made for."""
    lines = (line.split("\t") for line in KNOWN.read_text().splitlines() if not line.startswith("#"))
    return {(name, tag): int(size.split("x")[0]) for of, name, tag, size, *_ in lines if of == library}


def write(library, source, rows):
    head = [f"# {line}" for line in source]
    head.append("# name\ttag\tparameters\timage side\tImageNet top-1 in %")
    lines = ["\t".join(str(cell) for cell in row) for row in rows]
    (OUT / f"{library}.tsv").write_text("\n".join(head + lines) + "\n")


def timm(results):
    """The score on images of the side that the weights were made for; where that was not measured, on the next larger."""
    scores = {}
    for row in csv.DictReader(results.open()):
        name, _, tag = row["model"].partition(".")
        scores.setdefault((name, tag), {})[int(row["img_size"])] = (row["top1"], float(row["param_count"].replace(",", "")))
    for (name, tag), side in known("timm").items():
        found = scores.get((name, tag))
        if found:
            shown = min((size for size in found if size >= side), default=max(found))
            top1, millions = found[shown]
            yield name, tag, round(millions * 1e6), shown, f"{float(top1):.2f}"


def torchvision(wheel):
    """From the `meta` of the weights in the source."""
    sides = known("torchvision")
    for file in sorted((wheel / "torchvision" / "models").glob("*.py")):
        tree = ast.parse(file.read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        # what the weights of a file have in common
        shared = " ".join(ast.unparse(node.value) for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value)
        takes = {}
        for function in functions:
            for argument in function.args.kwonlyargs:
                if argument.arg == "weights" and (weights := re.search(r"\[(\w+_Weights)\]", ast.unparse(argument.annotation))):
                    takes[weights[1]] = function.name
        for node in tree.body:
            if not (isinstance(node, ast.ClassDef) and node.name in takes):
                continue
            for one in node.body:
                if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call):
                    name, tag = takes[node.name], one.targets[0].id
                    if (name, tag) in sides:
                        text = ast.unparse(one.value) + shared
                        count = re.search(r"'num_params': (\d+)", text)[1]
                        top1 = re.search(r"'acc@1': ([\d.]+)", text)
                        yield name, tag, count, sides[name, tag], f"{float(top1[1]):.2f}" if top1 else ""


def keras_applications(table):
    import keras

    published = {}
    for line in table.read_text().splitlines():
        if row := re.match(r"\| \[(\w+)\]\(.*?\) \| *\d+ \| *([\d.]+)% ", line):
            published[row[1]] = float(row[2])
    for name, build in sorted(inspect.getmembers(keras.applications, inspect.isfunction)):
        model = build(weights=None)
        print(name, model.count_params(), flush=True)
        top1 = f"{published[name]:.1f}" if name in published else ""
        side = model.input_shape[1] or 224
        yield name, "imagenet", model.count_params(), side, top1
        keras.backend.clear_session()


if __name__ == "__main__":
    results, wheel, table = map(pathlib.Path, sys.argv[1:])
    OUT.mkdir(exist_ok=True)
    write("timm", ["timm's results/results-imagenet.csv, commit aa4b5850 (8 August 2026)."], timm(results))
    write("torchvision", ["The `meta` of the weights in torchvision 0.29.2."], torchvision(wheel))
    source = "Scores: the table of Keras Applications in keras-io, commit e7be306b. Parameters and sides: counted in Keras "
    import keras

    write("keras", [f"{source}{keras.__version__}."], list(keras_applications(table)))
