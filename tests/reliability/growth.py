"""How the memory of a training grows with the number of photos.

usage: growth.py FROSTLINE [--photos 1000 10000 100000]

The photos are generated: noise of 28x28 pixels whose brightness is the class. Three trainings of each number of them: the solved head; a
head that is trained by steps on narrow feature vectors; and on wide ones of 4,704 numbers, of which the feature cache has many times the
memory of the process. It fails if a photo takes more than 3,000 bytes of memory (its names, its label, where its features are, what the
heads that were tried say of it) beyond the 64 MiB in which a head that is solved may hold features.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile

import numpy
from commands import MODEL, environment

MOST = 3000
HELD = 64 << 20
STEPS = ["--head-only", "--epochs", "1", "--val", "0"]
TRAININGS = {
    "solved head": [],
    "by steps, 288 numbers a photo": [*STEPS, "--keep", "flatten", "--head", "dense(8)"],
    "by steps, 4,704 numbers a photo": [*STEPS, "--keep", "conv_2", "--head", "flatten dense(8)"],
}


def photos(folder, names, count):
    """A list of as many of these photos, spread over the classes."""
    lines = ["path,label", *(f"{name},{name.split('/')[1]}" for name in names[:count])]
    path = folder / f"{count}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def generate(folder, count, classes=4):
    from PIL import Image

    draw = numpy.random.default_rng(0)
    names = []
    for index in range(count):
        kind = index % classes
        name = f"photos/{kind}/{index}.png"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(kind * 40, kind * 40 + 90, (28, 28), dtype=numpy.uint8)
        Image.fromarray(pixels).save(path, compress_level=1)
        names.append(name)
    return names


def train(binary, folder, data, more):
    """Bytes of memory at most, and those of the feature cache."""
    line = [str(binary), "train", str(MODEL), str(data), "-o", str(folder / "run"), "--quiet", "--threads", "2", *more]
    process = subprocess.Popen(line, env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(line)} failed:\n{said}")
    cached = sum(path.stat().st_size for path in (folder / "cache").rglob("*") if path.is_file())
    shutil.rmtree(folder / "run")
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return used.ru_maxrss * 1024, cached


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--photos", type=int, nargs="+", default=[1000, 10_000, 100_000])
    given = parser.parse_args()
    binary = given.frostline.resolve()
    wrong = []
    print(f"| training | {' | '.join(f'{count:,} photos' for count in given.photos)} | features on disk | a photo |")
    print(f"|---|{'---|' * len(given.photos)}---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        names = generate(folder, max(given.photos))
        for what, more in TRAININGS.items():
            found = [train(binary, folder, photos(folder, names, count), more) for count in given.photos]
            peaks = [peak for peak, _ in found]
            each = (peaks[-1] - peaks[0]) / (given.photos[-1] - given.photos[0])
            row = [f"{peak / 2**20:.0f} MiB" for peak in peaks] + [f"{found[-1][1] / 2**20:,.0f} MiB", f"{each:.0f} bytes"]
            print(f"| {what} | {' | '.join(row)} |", flush=True)
            if peaks[-1] - peaks[0] > HELD + MOST * given.photos[-1]:
                wrong.append(f"{what}: the memory grows by {(peaks[-1] - peaks[0]) / 2**20:.0f} MiB")
    for line in wrong:
        print(f"error: {line}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
