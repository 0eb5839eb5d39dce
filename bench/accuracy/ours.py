"""Runs frostline on the splits of the record: `frostline train MODEL DATA -o RUN --json`, without other flags.

usage: ours.py FROSTLINE FOLDER [TASK...] [--flags "..." --name NAME]     (after tasks.py FOLDER)

Appends to FOLDER/outcomes.jsonl what the run says of its tests, and the accuracy and interval that it had stated before it saw
them. `--flags` gives other flags, and `--name` is how the table calls them. Each name has a feature cache of its own, which all
its splits share, as a user's runs do: the seconds of a task's first split are those of an empty cache, unless another task with
the same network and pictures came before.
"""

import argparse
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import time

from outcomes import SPLITS, Outcomes, data_of, tasks_of


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--flags", default="")
    parser.add_argument("--name", default="frostline")
    parser.add_argument("--splits", type=int, default=SPLITS)
    own = parser.parse_args()
    if own.flags and own.name == "frostline":
        parser.error("--flags needs a --name")
    outcomes = Outcomes(own.folder)
    slug = re.sub(r"\W+", "-", own.name)
    run, cache = (own.folder.resolve() / f"{what}-{slug}" for what in ("run", "cache"))
    for task in tasks_of(own.folder, own.tasks):
        for split in range(own.splits):
            if outcomes.has(task.name, split, own.name):
                continue
            shutil.rmtree(run, ignore_errors=True)
            command = [own.frostline.resolve(), "train", task / "model.keras", data_of(task, split), "-o", run, "--json"]
            command += ["--cache", cache, *shlex.split(own.flags)]
            began = time.perf_counter()
            done = subprocess.run([*map(str, command)], capture_output=True, text=True)
            seconds = time.perf_counter() - began
            if done.returncode != 0:
                raise SystemExit(f"error: `{shlex.join(map(str, command))}` failed:\n{done.stderr}")
            document = json.loads(done.stdout)
            more, test = {}, document["test"]
            if document.get("estimate"):
                more = {"stated": document["estimate"]["accuracy"], "interval": document["estimate"]["interval"]}
                more |= balanced(test["classes"])
            outcomes.add(task.name, split, own.name, test["accuracy"], count(task, split), seconds, **more)
            shutil.rmtree(run)


def balanced(classes):
    """The mean of the classes' recalls, and its standard error: an accuracy that does not depend on how many tests a class has."""
    recalls = [(one["recall"], one["support"]) for one in classes if one["support"]]
    variance = sum(recall * (1 - recall) / support for recall, support in recalls)
    return {"recall": sum(recall for recall, _ in recalls) / len(recalls), "recall_error": variance**0.5 / len(recalls)}


def count(task, split):
    """How many tests a split has."""
    data = data_of(task, split)
    if data.suffix == ".csv":
        return sum(line.endswith(",test") for line in data.read_text().splitlines())
    import numpy as np

    return len(np.load(data)["y_test"])


if __name__ == "__main__":
    main()
