"""A thousand trainings in one process, whose memory must stay what it was.

usage: soak.py [--trainings 1000]     (with the Python package `frostline` installed)

Trainings on arrays, one after the other: the solved head, and every tenth time a head by steps from which two layers are unfrozen. The
process's memory after a training is compared with that after the first hundred. It fails if it grows by more than 2 %.
"""

import argparse
import pathlib
import tempfile
import time

import frostline
import numpy
from commands import DATA, MODEL

WARM = 100
MOST = 0.02
STEPS = {"epochs": 2, "unfreeze": 2, "fine_tune_epochs": 2}


def resident():
    """Bytes of this process in memory."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the system does not say how much memory a process has")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=1000)
    count = parser.parse_args().trainings
    rows = numpy.load(DATA)
    x, y = rows["x_train"], rows["y_train"]
    began, seen = time.perf_counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, count + 1):
            more = STEPS if number % 10 == 0 else {}
            frostline.reuse(str(MODEL), (x, y), progress=False, cache=f"{folder}/cache", threads=2, **more)
            if number % WARM == 0:
                seen[number] = resident()
    first, last = seen[WARM], max(list(seen.values())[1:])
    print("| trainings | memory |\n|---|---|")
    for number, bytes_ in seen.items():
        print(f"| {number} | {bytes_ / 2**20:.1f} MiB |")
    growth = last / first - 1
    print(f"\n{count} trainings in {time.perf_counter() - began:.0f} s; memory changed by {growth:+.1%} at most after the first {WARM}.")
    if growth > MOST:
        raise SystemExit(f"error: memory grew by {growth:.1%}")


if __name__ == "__main__":
    main()
