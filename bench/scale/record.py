"""Embedding and a search by 1, 2 and 4 processes on this machine: as shards of the binary, as workers of Ray, one of them killed in the
middle; beside them a plain `ray.data` with Keras. Then what 64 machines would take, by the times that were measured.

usage: record.py FROSTLINE MODEL RESULTS.md [--photos 5000] [--counts 1,2,4] [--simulate "MODEL DATA FLAGS"] [--only features,ray,keras,search,search-ray,simulation]

FROSTLINE is the binary; the Python package of the same version is installed. MODEL is a model of Keras that scales its own input or
whose preprocessing is known. The photos are generated, JPEGs of 500 x 375 pixels. The search that is shared is that of the textbook's model, which
the repository carries, and so is the one that is simulated, unless --simulate names another. Every result is compared with that of one process,
to the bit.

What is told is time by the clock, and beside it the processor's time of all processes, which other work on the machine does not change much.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import make_photos
import simulate

DEMO = HERE.parent.parent / "crates/cli/assets/demo"
DEMO_SEARCH = (str(DEMO / "my_model_A.h5"), str(DEMO / "fashion_subset.npz"))
REPEATS = 4
CORES = os.cpu_count()


class Clock:
    """Seconds by the clock, and of processors by this process and all that it has started and that have ended."""

    def __enter__(self):
        self.began, self.cpu_before = time.monotonic(), self.cpu_now()
        return self

    def __exit__(self, *_):
        self.seconds, self.cpu = time.monotonic() - self.began, self.cpu_now() - self.cpu_before

    @staticmethod
    def cpu_now():
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)


def shards(command, count, killed=None):
    """Starts a command as so many shards, and waits. One is killed after so many seconds, and then started again."""

    def start(index):
        words = [*command, "--shard", f"{index}/{count}", "--threads", str(max(1, CORES // count)), "--quiet"]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    began = [start(index) for index in range(count)]
    if killed is not None:
        time.sleep(killed)
        began[0].send_signal(signal.SIGKILL)
        assert began[0].wait() == -signal.SIGKILL, "it had ended before"
        began.append(start(0))
    for process in began:
        said = process.communicate()[1]
        if process.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(said)


def run(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def same_search(one, other):
    """Whether two searches have the same outcomes and the same model, but for times."""

    def lines(folder):
        found = [json.loads(line) for line in (folder / "search.jsonl").read_text().splitlines()[1:]]
        for outcome in found:
            del outcome["seconds"]
        return sorted(map(json.dumps, found))

    return lines(one) == lines(other) and (one / "model.keras").read_bytes() == (other / "model.keras").read_bytes()


class Record:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.rows = []
        counts = [int(count) for count in options.counts.split(",")]
        # last of all, of the most processes one is killed
        self.jobs = [(count, False) for count in counts] + [(max(counts), True)]

    def told(self, job, by, count, clock, equal, note=""):
        row = {"job": job, "by": by, "count": count, "seconds": clock.seconds, "cpu": clock.cpu, "equal": equal, "note": note}
        self.rows.append(row)
        print(row, flush=True)

    def features(self):
        """The features of all photos, in one process first."""
        binary, model, photos = self.options.frostline, self.options.model, self.work / "photos"
        base = [binary, "embed", model, str(photos), "--no-cache", "-o"]
        one = self.work / "one.npz"
        with Clock() as clock:
            run(*base, one, "--quiet")
        self.told("features", "one process", 1, clock, None)
        killed_after = clock.seconds / 2
        expected = one.read_bytes()
        for count, kills in self.jobs:
            killed = killed_after if kills else None
            output = self.work / f"shards-{count}.npz"
            with Clock() as clock:
                shards([*base, str(output)], count, killed)
            with Clock() as merging:
                run(binary, "merge", output)
            note = "one killed in the middle and started again" if killed else ""
            self.told("features", "shards", count, clock, output.read_bytes() == expected, note)
            self.told("features", "merge", count, merging, True)
            shutil.rmtree(f"{output}.shards")
            output.unlink()

    def features_on_ray(self):
        import frostline.ray
        import numpy as np
        import ray

        with np.load(self.work / "one.npz") as found:
            expected = dict(zip(found["paths"], found["features"]))
        photos = self.work / "photos"
        paths = sorted(str(path) for path in photos.rglob("*.jpg"))
        for count, kills in self.jobs:
            ray.init(num_cpus=count, include_dashboard=False, logging_level="error", log_to_driver=False)
            with Clock() as clock:
                data = frostline.ray.embed(self.options.model, paths, workers=count, batch_size=64)
                if kills:
                    threading.Thread(target=kill_a_worker, args=("MapWorker", clock), daemon=True).start()
                rows = data.take_all()
            equal = len(rows) == len(paths) and all(
                np.array_equal(row["features"], expected[os.path.relpath(row["path"], photos)]) for row in rows
            )
            note = "one killed in the middle" if kills else ""
            ray.shutdown()
            clock.cpu = float("nan")  # its workers are no children of this process
            self.told("features", "Ray", count, clock, equal, note)

    def features_by_keras(self):
        """What a plain extraction with Ray Data and Keras takes: Ray's own decoder and resizing, Keras's forward pass."""
        import ray

        path, size = self.options.model, self.size()

        class Extract:
            def __init__(self):
                import keras

                model = keras.models.load_model(path, compile=False)
                self.model = keras.Model(model.input, model.layers[-2].output)

            def __call__(self, batch):
                x = batch["image"].astype("float32") / 127.5 - 1
                return {"features": self.model.predict_on_batch(x)}

        for count in (1, 2):
            ray.init(num_cpus=CORES, include_dashboard=False, logging_level="error", log_to_driver=False)
            with Clock() as clock:
                data = ray.data.read_images(str(self.work / "photos"), size=size, mode="RGB")
                # a part of the machine is left for reading
                pool = ray.data.ActorPoolStrategy(size=count)
                found = data.map_batches(Extract, compute=pool, num_cpus=0.5, batch_size=64).take_all()
            assert len(found) == self.options.photos
            ray.shutdown()
            clock.cpu = float("nan")
            self.told("features", "ray.data with Keras", count, clock, None)

    def size(self):
        shape = json.loads(run(self.options.frostline, "inspect", self.options.model, "--json"))["layers"][0]["shape"]
        height, width = [extent for extent in shape if extent][:2]
        return height, width

    def search(self):
        binary = self.options.frostline
        base = [binary, "depth", *DEMO_SEARCH, "--repeats", str(REPEATS), "--cache"]
        one = self.work / "search-one"

        def command(output, name):
            return [*base, str(self.work / f"cache-{name}"), "-o", str(output)]

        with Clock() as clock:
            run(*command(one, "one"), "--quiet")
        self.told("search", "one process", 1, clock, None)
        killed_after = clock.seconds / 2
        for count, kills in self.jobs:
            killed = killed_after if kills else None
            name = f"shards-{count}{'-killed' if killed else ''}"
            output = self.work / f"search-{name}"
            with Clock() as clock:
                shards([*command(output, name), "--lost-after", "5s"], count, killed)
            with Clock() as merging:
                run(binary, "merge", output)
            note = "one killed in the middle and started again" if killed else ""
            self.told("search", "shards", count, clock, same_search(one, output), note)
            self.told("search", "merge", count, merging, True)

    def search_on_ray(self):
        import frostline.ray
        import ray

        one = self.work / "search-one"
        for count, kills in self.jobs:
            name = f"ray-{count}{'-killed' if kills else ''}"
            output = self.work / f"search-{name}"
            ray.init(num_cpus=count, include_dashboard=False, logging_level="error", log_to_driver=False)
            with Clock() as clock:
                if kills:
                    threading.Thread(target=kill_a_worker, args=("ray::trial", clock), daemon=True).start()
                frostline.ray.depth(
                    *DEMO_SEARCH,
                    output=output,
                    repeats=REPEATS,
                    cache=self.work / f"cache-{name}",
                    progress=False,
                )
            ray.shutdown()
            clock.cpu = float("nan")
            note = "one killed in the middle" if kills else ""
            self.told("search", "Ray", count, clock, same_search(one, output), note)

    def simulation(self):
        """What many machines would take, by times on one core."""
        cache = self.work / "cache-simulation"
        model, data, *flags = shlex.split(self.options.simulate) if self.options.simulate else DEMO_SEARCH
        trials = simulate.timed_search(model, data, flags, self.work / "timed", cache)
        photos = simulate.timed_photos(self.options.model, sorted((self.work / "photos").rglob("*.jpg"))[:512])
        return simulate.text(trials, photos)

    def text(self, simulation):
        lines = ["| job | by | processes | seconds | of processors | equal to one process, to the bit | |", "|---|---|---|---|---|---|---|"]
        for row in self.rows:
            equal = {True: "yes", False: "**no**", None: ""}[row["equal"]]
            cpu = "" if row["cpu"] != row["cpu"] else f"{row['cpu']:.1f}"
            lines.append(f"| {row['job']} | {row['by']} | {row['count']} | {row['seconds']:.1f} | {cpu} | {equal} | {row['note']} |")
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        return f"""# Several processes, and many machines

By `bench/scale/record.py` on {datetime.date.today()}: {CORES} cores of {processor()}, load {load} at the end. {self.options.photos:,} generated photos of 500 x 375
pixels by `{pathlib.Path(self.options.model).name}`; the textbook's search with {REPEATS} repeats.

{chr(10).join(lines)}

{simulation}
"""


def kill_a_worker(name, clock, after=5.0):
    """Kills a worker of Ray that is at work, by the name that Ray gives its process."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if time.monotonic() - clock.began < after:
            continue
        for entry in pathlib.Path("/proc").iterdir():
            try:
                title = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
                is_own = os.getuid() == entry.stat().st_uid
            except OSError:
                continue
            if is_own and title.startswith(b"ray::") and name.encode() in title:
                os.kill(int(entry.name), signal.SIGKILL)
                print("killed", title.decode(errors="replace").strip("\0 "), flush=True)
                return


def processor():
    names = [line.split(": ")[1] for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("frostline")
    parser.add_argument("model")
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--counts", default="1,2,4")
    parser.add_argument("--simulate")
    parser.add_argument("--only", default="features,ray,keras,search,search-ray,simulation")
    options = parser.parse_args()
    only = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="scale-") as work:
        record = Record(options, pathlib.Path(work))
        make_photos.PHOTOS = options.photos
        make_photos.main(record.work / "photos")
        if "features" in only:
            record.features()
        if "ray" in only:
            record.features_on_ray()
        if "keras" in only:
            record.features_by_keras()
        if "search" in only:
            record.search()
        if "search-ray" in only:
            record.search_on_ray()
        simulation = record.simulation() if "simulation" in only else ""
        text = record.text(simulation)
    options.results.write_text(text)
    assert all(row["equal"] is not False for row in record.rows), "a result differs"


if __name__ == "__main__":
    main()
