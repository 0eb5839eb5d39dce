"""What other recipes score on the splits of the record, on one thread.

usage: peers.py FOLDER [TASK...] [--recipes A,B]     (after tasks.py FOLDER; environment: bench/depth/requirements.txt)

The recipes: `ridge probe`, `logistic regression`, `standardised logistic regression` and `Head2Toe` (heads.py) on features of real
Keras (features.py), which all run in a minute or two a task; then `Keras's guide`, `LP-FT` and `fastai` (training.py), which train
whole networks and take minutes a split. Appends to FOLDER/outcomes.jsonl; what is there is not run again.
"""

import argparse
import os
import pathlib
import time

for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(variable, "1")

from outcomes import DRAWN, SPLITS, Outcomes, hexadecimal, tasks_of

HEADS = ["ridge probe", "logistic regression", "standardised logistic regression", "Head2Toe"]
TRAININGS = ["Keras's guide", "LP-FT", "fastai"]


def score(outcomes, task, split, recipe, predict, y):
    began = time.perf_counter()
    correct = predict() == y
    seconds = time.perf_counter() - began
    outcomes.add(task.name, split, recipe, float(correct.mean()), len(y), seconds, correct=hexadecimal(correct))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--recipes", default=",".join(HEADS + TRAININGS))
    parser.add_argument("--splits", type=int, default=SPLITS)
    own = parser.parse_args()
    wanted, outcomes = own.recipes.split(","), Outcomes(own.folder)
    unknown = set(wanted) - {*HEADS, *TRAININGS}
    if unknown:
        parser.error(f"no recipe is called {unknown.pop()}")
    tasks = [task for task in tasks_of(own.folder, own.tasks) if task.name not in DRAWN]
    for recipes in (HEADS, TRAININGS):
        for task in tasks:
            for split in range(own.splits):
                missing = [name for name in recipes if name in wanted and not outcomes.has(task.name, split, name)]
                if not missing:
                    continue
                if recipes is HEADS:
                    from features import features
                    from heads import HEADS as functions

                    (train, y), (test, y_test) = features(own.folder, task, split)
                    for name in missing:
                        score(outcomes, task, split, name, lambda: functions[name](train, y, test), y_test)
                else:
                    from training import TRAININGS as functions
                    from training import images

                    for name in missing:
                        if not functions[name].fits(task):
                            continue
                        (x, y), (x_test, y_test) = images(task, split)
                        score(outcomes, task, split, name, lambda: functions[name](task, x, y, x_test, split), y_test)


if __name__ == "__main__":
    main()
