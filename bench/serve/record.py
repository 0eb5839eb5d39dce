"""`frostline serve` beside the same Keras model behind FastAPI: many clients at a time, in turns, in one run.

usage: record.py FROSTLINE RESULTS.md [--clients 16] [--seconds 60] [--turns 2] [--photos FOLDER]

The model is a MobileNetV2 of random weights that scales its own input; the photos are JPEGs of 500 x 375 pixels unless a folder
is given. Each client posts one photo at a time on a connection that it keeps. Before a turn counts, the server answers for
five seconds. Both give the scores of the same photo, which are compared.
"""

import argparse
import datetime
import http.client
import importlib.metadata
import itertools
import json
import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import make_photos

PHOTOS = 100
WARM_UP = 5
SCORES = 1e-3


def make_model(path):
    import keras

    keras.utils.set_random_seed(0)
    base = keras.applications.MobileNetV2(weights=None, classes=10, input_shape=(224, 224, 3))
    # of random weights all scores would be alike, and the comparison of two servers would say nothing
    noise = keras.random.uniform((8, 224, 224, 3), -1, 1, seed=0)
    kernel, bias = base.layers[-1].get_weights()
    logits = keras.Model(base.input, base.layers[-2].output).predict(noise, verbose=0) @ kernel
    base.layers[-1].set_weights([3 * kernel / logits.std(), bias])
    inputs = keras.Input((224, 224, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    keras.Model(inputs, base(scaled)).save(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server in a process of its own, until the block ends."""

    def __init__(self, command, port, **environment):
        self.port = port
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=HERE
        )

    def __enter__(self):
        for _ in range(1500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args[0]} has ended")
            time.sleep(0.2)
        raise SystemExit("the server does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def memory(self):
        """Resident megabytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("no VmRSS")


def client(port, photos, until, latencies, errors):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for photo in photos:
        began = time.perf_counter()
        if began > until:
            return
        try:
            connection.request("POST", "/predict", photo, {"content-type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                errors.append(answer.status)
        except OSError as error:
            errors.append(repr(error))
            connection.close()
        latencies.append(time.perf_counter() - began)


def load(port, photos, clients, seconds):
    latencies, errors = [], []
    until = time.perf_counter() + seconds
    threads = [
        threading.Thread(
            target=client, args=(port, itertools.cycle(photos[index:] + photos[:index]), until, latencies, errors)
        )
        for index in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(latencies), errors


def turn(server, photos, clients, seconds):
    load(server.port, photos, clients, WARM_UP)
    before = server.memory()
    latencies, errors = load(server.port, photos, clients, seconds)
    of = lambda share: 1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))]
    return {
        "errors": len(errors),
        "p50": of(0.5),
        "p99": of(0.99),
        "rate": len(latencies) / seconds,
        "before": before,
        "after": server.memory(),
    }


def scores(port, photo):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/predict", photo, {"content-type": "image/jpeg"})
    answer = json.load(connection.getresponse())
    return answer["predictions"][0]["scores"] if "predictions" in answer else answer["scores"]


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("frostline", type=pathlib.Path)
    arguments.add_argument("results", type=pathlib.Path)
    arguments.add_argument("--clients", type=int, default=16)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--turns", type=int, default=2)
    arguments.add_argument("--photos", type=pathlib.Path)
    given = arguments.parse_args()
    # others who work on the machine take from both, and not the same from each
    busy = os.getloadavg()[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = folder / "model.keras"
        make_model(model)
        if given.photos is None:
            given.photos = folder / "photos"
            make_photos.PHOTOS = PHOTOS
            make_photos.main(given.photos)
        photos = [path.read_bytes() for path in sorted(given.photos.rglob("*.jp*g"))[:PHOTOS]]
        found = {"frostline serve": [], "FastAPI, Keras": []}
        said = []
        for _ in range(given.turns):
            port = free_port()
            commands = {
                "frostline serve": ([given.frostline.resolve(), "serve", model, "--addr", f"127.0.0.1:{port}"], {}),
                "FastAPI, Keras": (
                    [sys.executable, "-m", "uvicorn", "keras_app:app", "--port", str(port), "--log-level", "warning"],
                    {"MODEL": str(model)},
                ),
            }
            for name, (command, environment) in commands.items():
                with Server(command, port, **environment) as server:
                    said.append(scores(port, photos[0]))
                    found[name].append(turn(server, photos, given.clients, given.seconds))
                    print(name, found[name][-1], flush=True)
    difference = max(abs(one - other) for one, other in zip(said[0], said[1], strict=True))
    if difference > SCORES:
        raise SystemExit(f"the scores of one photo differ by {difference}")
    rows = []
    for name, turns in found.items():
        middle = lambda key: statistics.median(one[key] for one in turns)
        memory = ", ".join(f"{one['before']:.0f} → {one['after']:.0f}" for one in turns)
        rows.append(
            f"| {name} | {sum(one['errors'] for one in turns)} | {middle('rate'):.1f} | {middle('p50'):.0f} ms | {middle('p99'):.0f} ms | {memory} |"
        )
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("keras", "tensorflow_cpu", "fastapi", "uvicorn"))
    own = subprocess.run([given.frostline, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    given.results.write_text(
        f"""# `serve` beside FastAPI

Written by `bench/serve/record.py` on {datetime.date.today()}: {os.cpu_count()} cores of {processor()}; {own}; {versions}.
{given.clients} clients on the same machine, each with one photo at a time, for {given.seconds} seconds after {WARM_UP} that do not count; {given.turns} turns, one
server after the other. MobileNetV2, 224², random weights; JPEGs of 500 x 375 pixels, decoded and resized by the server. Rates and
latencies are medians over the turns; memory is resident, at the start and the end of each turn. The clients take a
share of the same cores. The load of the machine before the run was {busy:.1f}; figures of a machine on which others work say little.

| server | errors | images/s | p50 | p99 | memory, MB |
|---|---|---|---|---|---|
{chr(10).join(rows)}

The scores of one photo differ by {difference:.1e}.
"""
    )


if __name__ == "__main__":
    main()
