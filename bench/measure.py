"""Measures frostline beside its peers, interleaved in one run, and writes bench/RESULTS.md.

usage: measure.py [--rounds 9] [--only TEXT] [--out bench/RESULTS.md]      (`bench/run` calls it)

A row is one piece of work. frostline and one peer are two processes that stay alive; they take turns, A B A B …, and the
row's figure is the median of the ratios of neighbouring turns, so that a machine that slows down slows both. Only one of
them works at a time. Whole commands (the whole job, the cold start) are run from their start in each turn.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BATCH = 32
SECONDS_A_TURN = 1.0

# What (a forward pass ends with frostline's precision), the peer, the model, the work, the share of frozen layers, the ratio to reach (none: for information).
ROWS = [
    ("MobileNetV2 frozen forward, f32", "onnxruntime", "mobilenet_v2", "forward", 1.0, 1.15),
    ("MobileNetV2 frozen forward, f32", "openvino", "mobilenet_v2", "forward", 1.0, None),
    ("MobileNetV2 frozen forward, f32", "keras", "mobilenet_v2", "forward", 1.0, None),
    ("MobileNetV2 frozen forward, f32", "pytorch", "mobilenet_v2", "forward", 1.0, None),
    ("MobileNetV2 frozen forward, bf16", "onnxruntime", "mobilenet_v2", "forward", 1.0, 1.7),
    ("MobileNetV2 frozen forward, bf16", "openvino-bf16", "mobilenet_v2", "forward", 1.0, 1.5),
    ("MobileNetV2 frozen forward, int8", "onnxruntime", "mobilenet_v2", "forward", 1.0, 2.5),
    ("ResNet50 frozen forward, int8", "onnxruntime", "resnet50", "forward", 1.0, None),
    ("ResNet50 frozen forward, bf16", "onnxruntime", "resnet50", "forward", 1.0, None),
    ("ResNet50 frozen forward, bf16", "openvino-bf16", "resnet50", "forward", 1.0, None),
    ("ResNet50 frozen forward, f32", "onnxruntime", "resnet50", "forward", 1.0, 1.1),
    ("ResNet50 frozen forward, f32", "openvino", "resnet50", "forward", 1.0, None),
    ("ResNet50 frozen forward, f32", "keras", "resnet50", "forward", 1.0, None),
    ("ResNet50 frozen forward, f32", "pytorch", "resnet50", "forward", 1.0, None),
    ("MobileNetV2 step, all trainable", "keras", "mobilenet_v2", "step", 0.0, 2.5),
    ("MobileNetV2 step, all trainable", "pytorch", "mobilenet_v2", "step", 0.0, None),
    ("MobileNetV2 step, half frozen", "keras", "mobilenet_v2", "step", 0.5, 2.0),
    ("MobileNetV2 step, half frozen, from cached features", "keras", "mobilenet_v2", "cached-step", 0.5, None),
    ("MobileNetV2 step, half frozen", "pytorch", "mobilenet_v2", "step", 0.5, None),
    ("MobileNetV2 step, lower 80 % frozen", "keras", "mobilenet_v2", "step", 0.8, None),
    ("MobileNetV2 step, lower 80 % frozen", "pytorch", "mobilenet_v2", "step", 0.8, None),
    ("ResNet50 step, all trainable", "keras", "resnet50", "step", 0.0, 1.5),
    ("ResNet50 step, all trainable", "pytorch", "resnet50", "step", 0.0, None),
    ("ResNet50 step, half frozen", "keras", "resnet50", "step", 0.5, None),
    ("ResNet50 step, half frozen", "pytorch", "resnet50", "step", 0.5, None),
    ("ViT-B/16 frozen forward, f32", "onnxruntime", "vit_b_16", "forward", 1.0, 1.15),
    ("ViT-B/16 frozen forward, f32", "pytorch", "vit_b_16", "forward", 1.0, None),
    ("ViT-B/16 frozen forward, bf16", "onnxruntime", "vit_b_16", "forward", 1.0, None),
    ("ViT-B/16 step, all trainable", "pytorch", "vit_b_16", "step", 0.0, 1.5),
    ("Swin-T frozen forward, f32", "onnxruntime", "swin_t", "forward", 1.0, 1.15),
    ("Swin-T frozen forward, f32", "pytorch", "swin_t", "forward", 1.0, None),
    ("Swin-T frozen forward, bf16", "onnxruntime", "swin_t", "forward", 1.0, None),
    ("Swin-T step, all trainable", "pytorch", "swin_t", "step", 0.0, 1.5),
]

PYTORCH_NOTE = """\
PyTorch computes torchvision's models of the same names: the same architectures up to details such as padding, the place of
a stride and biases; its lower share of layers ends in the same block, give or take a layer. Its channels are last in memory.
Its forward pass is TorchScript, frozen and optimized for inference; its step is eager, with frozen batch normalization in
evaluation mode."""


class Worker:
    """A process that repeats its work when it is told to, and says how long that took."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout.readline().strip() == "ready", f"{command} did not start"

    def seconds(self, repetitions):
        self.process.stdin.write(f"{repetitions}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / repetitions

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def turns(own, peer, rounds):
    """Seconds of one repetition, turn by turn, of each."""
    repetitions = [max(1, round(SECONDS_A_TURN / worker.seconds(1))) for worker in (own, peer)]
    return [
        (own.seconds(repetitions[0]), peer.seconds(repetitions[1])) for _ in range(rounds)
    ]


def workers_row(models, what, peer, model, kind, frozen, rounds):
    precision = what.rsplit(", ", 1)[1] if kind == "forward" else "f32"
    # PyTorch's models are there as ONNX alone
    own = next(path for path in (models / f"{model}.keras", models / f"{model}.onnx") if path.exists())
    own_command = [RELEASE / "examples" / "bench_worker", own, kind, BATCH, frozen, precision]
    ending = "keras" if peer == "keras" else "onnx"
    # a peer has no features: its step is the same
    peer_kind = kind.removeprefix("cached-")
    peer_command = [sys.executable, BENCH / "peer.py", peer, models / f"{model}.{ending}", peer_kind, BATCH, frozen]
    with contextlib.closing(Worker(own_command)) as own, contextlib.closing(Worker(peer_command)) as other:
        found = turns(own, other, rounds)
    return [(BATCH / own, BATCH / other, other / own) for own, other in found]


def commands_row(own, peer, rounds, fresh):
    """Whole commands, each from its start; `fresh` gives each a new folder to write to."""

    def seconds(command):
        with fresh() as folder:
            command = [str(part).replace("{out}", folder) for part in command]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            return time.perf_counter() - start

    found = [(seconds(own), seconds(peer)) for _ in range(rounds)]
    return [(own, other, other / own) for own, other in found]


def make_models(folder):
    """Models of real Keras with random weights, as .keras and .onnx, and those of PyTorch, as .onnx."""
    for script in ["make_models.py", "make_transformers.py"][: 1 + has_pytorch()]:
        subprocess.run(
            [sys.executable, BENCH / script, folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def has_pytorch():
    """Whether PyTorch can be imported here. It is the one peer that may be missing."""
    return subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode == 0


def machine():
    with open("/proc/cpuinfo") as cpu:
        lines = cpu.read()
    name = next(line.split(":")[1].strip() for line in lines.splitlines() if line.startswith("model name"))
    known = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"]
    sets = [flag for flag in known if f" {flag} " in lines]
    return f"{os.cpu_count()} cores of {name} ({', '.join(sets)})"


def line(what, peer, found, goal, unit):
    own, other, ratio = (statistics.median(column) for column in zip(*found))
    ratios = [ratio for _, _, ratio in found]
    goal = f"{goal}x" if goal else "–"
    text = f"| {what} | {peer} | {own:.4g} {unit} | {other:.4g} {unit} | **{ratio:.2f}x** "
    return text + f"| {min(ratios):.2f}–{max(ratios):.2f} | {goal} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="rows whose text holds this")
    parser.add_argument("--out", type=pathlib.Path, default=BENCH / "RESULTS.md")
    arguments = parser.parse_args()
    lines = []
    pytorch = has_pytorch()

    def add(*row):
        lines.append(line(*row))
        print(lines[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make_models(folder)
        for what, peer, model, kind, frozen, goal in ROWS:
            if arguments.only in f"{what} {peer}" and (pytorch or peer != "pytorch"):
                found = workers_row(folder, what, peer, model, kind, frozen, arguments.rounds)
                add(what, peer, found, goal, "images/s")
        from jobs import JOBS

        for job in JOBS:
            if arguments.only in f"{job.what} {job.peer}":
                own, peer = job.commands(folder, RELEASE / "frostline")
                rounds = min(arguments.rounds, job.rounds)
                found = commands_row(own, peer, rounds, tempfile.TemporaryDirectory)
                add(job.what, job.peer, found, job.goal, "s")

    peers = ["keras", "tensorflow_cpu", "onnxruntime", "openvino", *(["torch", "torchvision"] if pytorch else [])]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in peers)
    note = PYTORCH_NOTE if pytorch else "PyTorch could not be imported: the rows beside it are missing."
    arguments.out.write_text(
        f"""# frostline beside its peers

Written by `bench/run` on {datetime.date.today()}: {machine()}; {versions}. Batches of {BATCH} images of 224², random
weights and pixels, all cores. A ratio is the median over {arguments.rounds} turns (fewer for whole jobs) of the peer's
time divided by frostline's; beside it the smallest and the largest. More than 1 means that frostline is faster.

{note}

| work | peer | frostline | peer's figure | ratio | range | goal |
|---|---|---|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
