"""What frostline is asked to do in the records of this folder, and how two of its results are compared."""

import hashlib
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEMO = ROOT / "crates" / "cli" / "assets" / "demo"
MODEL, DATA = DEMO / "my_model_A.h5", DEMO / "fashion_subset.npz"
# What differs between any two runs: times, memory, and where a run lies.
VARIES = {"seconds", "peak_bytes", "model", "output", "milliseconds"}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in VARIES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def digest(path):
    """Of a file's content; of JSON without what differs between any two runs."""
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        lines = [data] if path.suffix == ".json" else data.splitlines()
        lines = [json.dumps(without_times(json.loads(line))) for line in lines]
        # trainings that run at a time end in any order
        data = "\n".join(sorted(lines) if path.name == "search.jsonl" else lines).encode()
    return hashlib.sha256(data).hexdigest()


def files(folder):
    """What lies below a folder, by name. The cache is left out: how features are spread over its files depends on when it was disturbed."""
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in found.items() if not name.startswith("cache/")}


def tree(folder):
    """The files below a folder with their digests. A page shows times, and is compared by being there."""
    return {name: "" if path.suffix == ".html" else digest(path) for name, path in files(folder).items()}


class Command:
    """A command that writes into a folder: `arguments` name it as OUT, and what is done after it was killed as `again`. `share`: of all
    kills, how many in a hundred are its own. `before`: another command, which is done before and not disturbed."""

    def __init__(self, name, share, arguments, again=(), before=None):
        self.name, self.share, self.arguments, self.again, self.before = name, share, arguments, again, before

    def prepare(self, binary, folder):
        """Makes the folder, with what is in it before the command begins."""
        folder.mkdir()
        if self.before:
            run(self.before.line(binary, folder), folder, check=True)

    def is_finished(self, folder):
        """Whether a run is there already, whose last file is run.json."""
        return folder.joinpath("run/run.json").exists()

    def line(self, binary, folder, more=()):
        words = [str(word).replace("OUT", str(folder)) for word in self.arguments]
        return [str(binary), *words, *more, "--quiet", "--threads", "2"]


def environment(folder):
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}


def run(line, folder, **more):
    return subprocess.run(line, env=environment(folder), capture_output=True, text=True, **more)


STAGES = ["--epochs", 6, "--unfreeze", 2, "--fine-tune-epochs", 6, "--head", "dropout(0.2)", "--checkpoint-every", 1]
COMMANDS = [
    Command("train, solved", 25, ["train", MODEL, DATA, "-o", "OUT/run"], ["--resume"]),
    Command("train, by steps", 25, ["train", MODEL, DATA, "-o", "OUT/run", *STAGES], ["--resume"]),
    Command("depth", 10, ["depth", MODEL, DATA, "-o", "OUT/run", "--repeats", 2, "--cuts", "hidden"]),
    Command("embed", 15, ["embed", MODEL, DATA, "-o", "OUT/features.npz"]),
    Command("convert", 15, ["convert", MODEL, "-o", "OUT/model.onnx"]),
    # the features of the one have to go for those of the other
    Command(
        "train, in a full cache",
        10,
        ["train", MODEL, DATA, "-o", "OUT/run", "--head-only", "--epochs", 2, "--cache-limit", "1400KiB"],
        ["--resume"],
        before=Command("embed", 0, ["embed", MODEL, DATA, "-o", "OUT/features.npz", "--cut", "flatten"]),
    ),
]
