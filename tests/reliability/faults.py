"""Takes away what frostline counts on: the disk, the right to write, file handles, the home folder, the photos.

usage: faults.py FROSTLINE

Full disks and folders that cannot be written to are mounted in a namespace of the script's own (`unshare`), so it needs no other rights. Each
line says what was done and what came of it. It fails if a command panics, ends by a signal that nobody sent, fails without
a remedy, leaves half a file, or comes to another model than undisturbed.
"""

import argparse
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy
from commands import DATA, MODEL, environment, files

PHOTOS = 300
# So long a command may take to end after it was told twice.
AT_ONCE = 1.0


def photos(folder, kind="png"):
    """Pictures of two classes as files."""
    from PIL import Image

    rows = numpy.load(DATA)
    for index in range(PHOTOS):
        path = folder / str(rows["y_test"][index]) / f"{index}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rows["x_test"][index].squeeze()).save(path)


class Place:
    """A folder with photos, where one command is run."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        photos(folder / "photos")

    def train(self, out="run", data="photos", more=(), before="", limits=None, variables=None, wait=True):
        """`before` is done in a namespace of mounts that ends with the command."""
        line = [str(self.binary), "train", str(MODEL), data, "-o", out, "--quiet", "--threads", "2", *map(str, more)]
        if before:
            line = ["unshare", "--map-root-user", "--mount", "sh", "-ec", f'{before}\nexec "$@"', "sh", *line]
        process = subprocess.Popen(
            line,
            cwd=self.folder,
            env=environment(self.folder) if variables is None else variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limits,
        )
        return finish(process) if wait else process

    def model(self, out="run"):
        path = self.folder / out / "model.keras"
        return path.read_bytes() if path.exists() else None


def finish(process):
    """How it ended, and what it said without places of this machine."""
    _, said = process.communicate(timeout=300)
    return process.returncode, said.replace(str(process.args[0]), "frostline").replace(str(MODEL), MODEL.name)


def sane(code, said):
    """What is wrong with how a command ended, or nothing."""
    if "panicked" in said or code < 0 or code > 2:
        return f"ended with {code}: {said.strip()[:300]}"
    if code and "help:" not in said:
        return f"failed without a remedy: {said.strip()[:300]}"
    return ""


def handles(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def told(place, *signals):
    """Trains by steps, and is told to end. How long it took to end after the last signal, and how it ended."""
    process = place.train(out="stopped", more=["--epochs", 2000], wait=False)
    checkpoints = place.folder / "stopped" / "checkpoint"
    while process.poll() is None and not (checkpoints.exists() and any(checkpoints.iterdir())):
        time.sleep(0.01)
    for one in signals:
        process.send_signal(one)
        time.sleep(0.01)
    began = time.perf_counter()
    code, said = finish(process)
    shutil.rmtree(place.folder / "stopped", ignore_errors=True)
    return code, said, time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    binary = parser.parse_args().frostline.resolve()
    wrong, rows = [], []

    def record(what, code, said, model="any", alike=None):
        """`model`: any, none, or the bytes that it must have."""
        bad = sane(code, said)
        if not bad and code == 0 and isinstance(model, bytes) and alike != model:
            bad = "another model than undisturbed"
        if not bad and code and alike is not None:
            bad = "failed, and a model is there"
        note = next((line for line in said.splitlines() if line.startswith(("error", "warning"))), "")
        rows.append(f"| {what} | {'done' if code == 0 else 'an error with a remedy' if code > 0 else 'ended'} | {note[:150].replace('|', '/')} |")
        if bad:
            wrong.append(f"{what}: {bad}")

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        place = Place(binary, folder)
        code, said = place.train(more=["--no-cache"])
        whole = place.model()
        record("undisturbed", code, said, whole, place.model())
        shutil.rmtree(folder / "run")

        for what, before, out, more in [
            ("the cache's disk is full", "mkdir -p full; mount -t tmpfs -o size=64k none full", "run", ["--cache", "full"]),
            ("the cache cannot be written to", "mkdir -p ro; mount -t tmpfs -o ro none ro", "run", ["--cache", "ro"]),
            ("the disk of the run is full", "mkdir -p small; mount -t tmpfs -o size=64k none small", "small/run", []),
            ("the run's folder cannot be written to", "mkdir -p ro; mount -t tmpfs -o ro none ro", "ro/run", []),
        ]:
            code, said = place.train(out=out, more=more, before=before)
            record(what, code, said, whole, place.model(out))
            shutil.rmtree(folder / "run", ignore_errors=True)

        for count in 8, 16, 32:
            code, said = place.train(limits=handles(count))
            record(f"{count} file handles", code, said, whole, place.model())
            shutil.rmtree(folder / "run", ignore_errors=True)

        code, said = place.train(variables={"PATH": os.environ["PATH"]})
        record("no HOME", code, said, whole, place.model())
        shutil.rmtree(folder / "run", ignore_errors=True)

        process = place.train(more=["--no-cache", "--epochs", 40, "--augment", "flip"], wait=False)
        time.sleep(0.3)
        shutil.rmtree(folder / "photos")
        record("the photos go away", *finish(process))
        shutil.rmtree(folder / "run", ignore_errors=True)
        photos(folder / "photos")

        process = place.train(more=["--no-cache", "--epochs", 40, "--augment", "flip"], wait=False)
        time.sleep(0.3)
        for path in sorted((folder / "photos").rglob("*.png"))[::3]:
            path.write_bytes(path.read_bytes()[:40])
        record("photos are cut short meanwhile", *finish(process))
        shutil.rmtree(folder / "run", ignore_errors=True)
        photos(folder / "photos")

        for one in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            code, said, seconds = told(place, one)
            rows.append(f"| {one.name} | ended after {seconds:.2f} s | {said.strip().splitlines()[-1][:150] if said.strip() else ''} |")
            if "panicked" in said or "--resume" not in said:
                wrong.append(f"{one.name}: {said.strip()[:300]}")
        code, said, seconds = told(place, signal.SIGINT, signal.SIGINT)
        rows.append(f"| SIGINT twice | ended after {seconds:.2f} s | |")
        if seconds > AT_ONCE:
            wrong.append(f"SIGINT twice: ended after {seconds:.2f} s")

        left = [name for name in files(folder) if ".frostline-" in name]
        if left:
            wrong.append(f"left behind: {', '.join(left)}")
    print("| what | came to | said |\n|---|---|---|")
    print("\n".join(rows))
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
