"""Fills the tables of `docs/accuracy.md`, between the marks, from FOLDER/outcomes.jsonl.

usage: table.py FOLDER DOCUMENT [--ours NAME]

`--ours` is the recipe that the others are compared with: `frostline`.
"""

import argparse
import collections
import json
import pathlib
import re

import numpy as np
from outcomes import DRAWN, SPLITS, TASKS, Outcomes, data_of

HERE = pathlib.Path(__file__).resolve().parent
SHIFTED = ("source", "dark", "turned")
# The tasks of docs/depth.md: their splits share the tests, and draw from one pool of training images.
HELD_OUT = json.loads((HERE / "depth_splits.json").read_text())
RECIPES = ["ridge probe", "logistic regression", "standardised logistic regression", "Head2Toe", "Keras's guide", "LP-FT", "fastai"]
NORMAL = 1.96


class Record:
    """Outcomes by task and recipe, each a dictionary from split to line."""

    def __init__(self, folder, ours):
        self.folder, self.ours = pathlib.Path(folder), ours
        self.of = collections.defaultdict(lambda: collections.defaultdict(dict))
        for line in Outcomes(folder).lines:
            self.of[line["task"]][line["recipe"]][line["split"]] = line
        self.tasks = [task for task in TASKS if task in self.of]
        there = {recipe for task in self.tasks for recipe in self.of[task]}
        older = sorted(recipe for recipe in there if recipe.startswith("frostline") and recipe != ours)
        self.recipes = [recipe for recipe in [ours, *older, *RECIPES] if recipe in there]
        self.others = [recipe for recipe in self.recipes if recipe != ours]

    def scores(self, task, recipe):
        return [100 * line["accuracy"] for line in self.of[task][recipe].values()]

    def overlap(self, task):
        """Images that a split holds out for each that it trains on."""
        data = data_of(self.folder / task, 0)
        from_pool = HELD_OUT.get("food" if task in ("labdog", "lite0") else task)
        held_out = len(from_pool[0]) if from_pool else self.count(data, "test")
        return held_out / self.count(data, "train")

    @staticmethod
    def count(data, part):
        if data.suffix == ".npz":
            return len(np.load(data)[f"y_{part}"])
        return sum(line.endswith(f",{part}") for line in data.read_text().splitlines())

    def gain(self, task, other):
        """Mean difference on equal splits in points, its corrected standard error, and how many splits there are."""
        a, b = self.of[task][self.ours], self.of[task][other]
        each = np.array([100 * (a[split]["accuracy"] - b[split]["accuracy"]) for split in sorted(a.keys() & b.keys())])
        if len(each) < 2:
            return None
        return each.mean(), ((1 / len(each) + self.overlap(task)) * each.var(ddof=1)) ** 0.5, len(each)


def table(heading, rows):
    return [f"| {' | '.join(heading)} |", "|" + "---|" * len(heading), *(f"| {' | '.join(row)} |" for row in rows)]


def of_splits(text, count):
    return text if count == SPLITS else f"{text} ({count})"


def accuracy(record):
    def row(task):
        scores = {recipe: record.scores(task, recipe) for recipe in record.recipes if record.of[task][recipe]}
        best = max(np.mean(each) for each in scores.values())
        for recipe in record.recipes:
            each = scores.get(recipe)
            if not each:
                yield "–"
                continue
            text = f"{np.mean(each):.1f} ± {np.std(each, ddof=1):.1f}" if len(each) > 1 else f"{each[0]:.1f}"
            yield of_splits(f"**{text}**" if np.mean(each) == best else text, len(each))

    return table(["task", *record.recipes], ([TASKS[task], *row(task)] for task in record.tasks))


def gains(record):
    rows, means = [], collections.defaultdict(list)
    for task in record.tasks:
        cells = []
        for other in record.others:
            found = record.gain(task, other)
            if found is None:
                cells.append("–")
                continue
            means[other].append(found[0])
            cells.append(of_splits(f"{found[0]:+.1f} ± {found[1]:.1f}", found[2]))
        rows.append([TASKS[task], *cells])
    word = lambda each: f"{np.mean(each):+.1f}; {sum(one > 0 for one in each)} of {len(each)}" if each else "–"
    rows.append(["mean over the tasks; tasks with a gain", *(word(means[other]) for other in record.others)])
    return table(["task", *(f"over {other}" for other in record.others)], rows)


def seconds(record):
    def row(task):
        for recipe in record.recipes:
            each = [line["seconds"] for line in record.of[task][recipe].values()]
            yield f"{np.median(each):.1f}" if each else "–"

    return table(["task", *record.recipes], ([TASKS[task], *row(task)] for task in record.tasks))


def coverage(record):
    rows, kinds = [], collections.defaultdict(list)
    for task, title in {**TASKS, **DRAWN}.items():
        lines = [line for line in record.of[task][record.ours].values() if "interval" in line]
        if not lines:
            continue
        kind = "tests of another kind" if task.startswith(SHIFTED) else "tests of the same kind"
        if task in HELD_OUT or task in ("labdog", "lite0"):
            kind = "one pool of training images for all splits"
        kinds[kind] += lines
        rows.append(coverage_row(title, lines))
    rows += [coverage_row(f"all with {kind}", lines) for kind, lines in kinds.items()]
    return table(["task", "runs", "stated", "mean recall", "test accuracy", "in the interval as it is", "in the widened one"], rows)


def coverage_row(title, lines):
    plain = widened = 0
    for line in lines:
        (low, high), stated, test = line["interval"], line["stated"], line["recall"]
        sample = NORMAL * line["recall_error"]
        below, above = (((side - stated) ** 2 + sample**2) ** 0.5 for side in (low, high))
        plain += low <= test <= high
        widened += stated - below <= test <= stated + above
    mean = lambda key: f"{100 * np.mean([line[key] for line in lines]):.1f}"
    shares = [f"{100 * one / len(lines):.0f} %" for one in (plain, widened)]
    return [title, str(len(lines)), mean("stated"), mean("recall"), mean("accuracy"), *shares]


def not_best(record):
    """One line: where another recipe has the higher mean."""
    found = []
    for task in record.tasks:
        if not record.of[task][record.ours]:
            continue
        ahead = []
        for other in record.others:
            gain = record.gain(task, other)
            if gain and gain[0] < 0:
                ahead.append((gain[0], gain[1], other))
        if ahead:
            mean, error, other = min(ahead)
            found.append(f"{TASKS[task]} ({other} has {-mean:.1f} ± {error:.1f} more)")
    if not found:
        return [f"{record.ours} has the highest mean on every task."]
    return [f"{record.ours} is not the best on {len(found)} of {len(record.tasks)} tasks: {'; '.join(found)}."]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("document", type=pathlib.Path)
    parser.add_argument("--ours", default="frostline")
    own = parser.parse_args()
    record, text = Record(own.folder, own.ours), own.document.read_text()
    for part in (accuracy, gains, not_best, coverage, seconds):
        lines = "\n".join(part(record))
        marks = rf"(<!-- {part.__name__} -->\n).*?(<!-- end -->)"
        text = re.sub(marks, lambda found: f"{found[1]}{lines}\n{found[2]}", text, flags=re.S)
    own.document.write_text(text)


if __name__ == "__main__":
    main()
