"""How long a whole model takes to load, and how much memory: frostline and real Keras, in turns, a process each.

    python bench/load.py FROSTLINE         (with the environment of tests/keras)
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
WRITE = "import keras, sys; keras.applications.ResNet152(weights=None).save(sys.argv[1])"
# the time of the call alone: importing Keras takes longer than that
LOAD = "import keras, sys, time; t = time.time(); keras.models.load_model(sys.argv[1]); print(time.time() - t)"


def run(*command):
    """Standard output, seconds and the peak of memory of a process, in bytes."""
    clock = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return output, time.perf_counter() - clock, 1024 * usage.ru_maxrss


def main(frostline):
    with tempfile.TemporaryDirectory() as folder:
        for ending in "h5", "keras":
            file = pathlib.Path(folder) / f"resnet152.{ending}"
            run(sys.executable, "-c", WRITE, file)
            size = file.stat().st_size
            own, theirs, peaks = [], [], []
            for _ in range(ROUNDS):
                _, seconds, peak = run(frostline, "inspect", file, "--json")
                own.append(seconds)
                peaks.append(peak)
                theirs.append(float(run(sys.executable, "-c", LOAD, file)[0].split()[-1]))
            ours, keras = statistics.median(own), statistics.median(theirs)
            print(
                f"ResNet152 .{ending}, {size / 1e6:.0f} MB: frostline {ours:.2f} s with its process, Keras {keras:.2f} s for the "
                f"call, {keras / ours:.1f}x; peak of memory {max(peaks) / size:.2f} times the file"
            )


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    main(*sys.argv[1:])
