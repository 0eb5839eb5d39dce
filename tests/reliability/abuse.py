"""What `frostline serve` does when clients misbehave, while one client behaves.

usage: abuse.py FROSTLINE [--malformed 10000] [--connections 1000]

On the loopback: slow clients, malformed requests of a fixed seed, oversized bodies, pictures and archives that grow when they are unpacked, and
more connections than are allowed. A client that behaves asks for the same prediction all the while. It fails if that one ever gets another answer
than the first, if a request is answered by 5xx other than 503 (busy) and 504 (too slow), if the process ends, or if its memory grows by more
than the limits that it was started with allow.
"""

import argparse
import base64
import collections
import contextlib
import http.client
import io
import json
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import numpy
from commands import DATA, MODEL, environment
from PIL import Image

LIMITS = ["--max-body", "1MiB", "--max-pixels", "1000000", "--max-batch", "8", "--timeout", "3s", "--connections", "64"]
# Two workers' pictures of the largest size as f32, and the largest bodies of all connections.
MOST_GROWTH = 2 * 4 * 3 * 1_000_000 / 2**20 + 64
PATIENCE = 30


class Server:
    def __init__(self, binary, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        line = [binary, "serve", MODEL, "--addr", f"127.0.0.1:{self.port}", "--name", "shoes", "--quiet", "--threads", "2", *LIMITS]
        self.process = subprocess.Popen(line, env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(200):
            with contextlib.suppress(OSError), self.connect():
                return
            time.sleep(0.05)
        raise SystemExit("serve does not listen")

    def connect(self, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def memory(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("serve has ended")

    def post(self, path, body, kind="application/octet-stream", headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, body, {"content-type": kind, **dict(headers)})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, data, half=False):
        """The status of what is answered to these bytes; 0 where the connection was ended without an answer."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                if half:
                    connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                head = connection.recv(64)
                if head.startswith(b"HTTP/1.1 "):
                    return int(head[9:12])
        return 0


class Healthy(threading.Thread):
    """One client that asks the same all the while."""

    def __init__(self, server, picture):
        super().__init__(daemon=True)
        self.server, self.picture = server, picture
        self.answers, self.turned_away, self.slowest = collections.Counter(), 0, 0.0
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            began = time.perf_counter()
            try:
                status, body = self.server.post("/predict", self.picture)
            except OSError as error:
                status, body = 0, repr(error).encode()
            if status == 503:
                self.turned_away += 1
            else:
                said = body if status != 200 else json.dumps(json.loads(body)["predictions"]).encode()
                self.answers[status, said] += 1
                self.slowest = max(self.slowest, time.perf_counter() - began)
            time.sleep(0.01)


def picture_of(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bombs():
    """Bodies below the limit that ask for much more: pixels, text of a PNG, JPEG scans, nesting, numbers."""
    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    small = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
    text = zlib.compress(b"a" * 200_000_000, 9)
    pixels = zlib.compress(b"\0" * 29 * 28)
    png = b"\x89PNG\r\n\x1a\n"
    jpeg = io.BytesIO()
    Image.new("L", (900, 900)).save(jpeg, "JPEG", progressive=True)
    at = jpeg.getvalue().index(b"\xff\xda")
    end = jpeg.getvalue().rindex(b"\xff\xd9")
    scans = jpeg.getvalue()[:at] + jpeg.getvalue()[at:end] * 60 + b"\xff\xd9"
    yield "a PNG of 900 million pixels", "/predict", png + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 90_000_000)) + chunk(b"IEND", b""), "image/png"
    yield "a PNG with 200 MB of text", "/predict", png + chunk(b"IHDR", small) + chunk(b"zTXt", b"a\0\0" + text) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""), "image/png"
    yield "a JPEG of many scans", "/predict", scans[:1_000_000], "image/jpeg"
    yield "a JPEG's head of 65000 x 65000", "/predict", jpeg.getvalue().replace(struct.pack(">HH", 900, 900), struct.pack(">HH", 65000, 65000)), "image/jpeg"
    yield "nested arrays", "/v1/models/shoes:predict", b'{"instances": ' + b"[" * 400_000 + b"]" * 400_000 + b"}", "application/json"
    yield "a number of 900,000 digits", "/v1/models/shoes:predict", b'{"instances": [' + b"9" * 900_000 + b"]}", "application/json"
    yield "a tensor that claims 2^62 values", "/v2/models/shoes/infer", json.dumps(
        {"inputs": [{"name": "input", "datatype": "FP32", "shape": [2**31, 2**31], "data": []}]}
    ).encode(), "application/json"
    yield "base64 of base64", "/v1/models/shoes:predict", json.dumps(
        {"instances": [{"b64": base64.b64encode(b"\xff\xd8" + b"\0" * 600_000).decode()}]}
    ).encode(), "application/json"
    yield "a body over the limit", "/predict", b"\0" * 2_000_000, "image/jpeg"


def mutated(draw, valid):
    """A valid request with bytes changed, cut, doubled or put in."""
    data = bytearray(valid)
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(data))
        match draw.randrange(4):
            case 0:
                data[place] = draw.randrange(256)
            case 1:
                del data[place : place + draw.randrange(1, 40)]
            case 2:
                data[place:place] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 20)))
            case _:
                data[place:place] = data[place : place + draw.randrange(1, 200)]
        if not data:
            return b"\0"
    return bytes(data)


def request(path, body, kind):
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--malformed", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=1_000)
    given = parser.parse_args()
    wrong, rows = [], []
    picture = picture_of(numpy.load(DATA)["x_test"][0].squeeze())
    array = json.dumps({"instances": numpy.load(DATA)["x_test"][:1].tolist()}).encode()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(given.frostline.resolve(), pathlib.Path(folder))
        for _ in range(50):
            status, _ = server.post("/predict", picture)
            assert status == 200
        before = server.memory()
        healthy = Healthy(server, picture)
        healthy.start()

        def row(what, statuses, began):
            told = ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(statuses.items()))
            rows.append(f"| {what} | {told} | {time.perf_counter() - began:.1f} s | {server.memory():.0f} MB |")
            bad = [status for status in statuses if status >= 500 and status not in (503, 504)]
            if bad:
                wrong.append(f"{what}: answered by {bad}")

        for what, path, body, kind in bombs():
            began = time.perf_counter()
            try:
                status = server.post(path, body, kind)[0]
            except OSError:
                status = 0
            row(what, {status: 1}, began)

        draw, began, statuses = random.Random(0), time.perf_counter(), collections.Counter()
        valid = [
            request("/predict", picture, "image/png"),
            request("/v1/models/shoes:predict", array, "application/json"),
            request("/predict", b'--x\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + picture + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"),
            b"GET /v1/models/shoes/metadata HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        ]
        for _ in range(given.malformed):
            statuses[server.raw(mutated(draw, draw.choice(valid)), half=True)] += 1
        row(f"{given.malformed} malformed requests", statuses, began)

        # each sends a byte a second of a request that never ends
        began, statuses = time.perf_counter(), collections.Counter()
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(server.connect()) for _ in range(40)]
            ended = set()
            for byte in valid[0][: 3 * 4]:
                for index, connection in enumerate(slow):
                    if index not in ended:
                        try:
                            connection.sendall(bytes([byte]))
                        except OSError:
                            ended.add(index)
                time.sleep(1)
            for index, connection in enumerate(slow):
                connection.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    try:
                        if index not in ended and connection.recv(1) in (b"", b"H"):
                            ended.add(index)
                    except ConnectionError:
                        ended.add(index)
            statuses[0] = len(ended)
            row("40 clients that send a byte a second", statuses, began)
            if len(ended) < 40:
                wrong.append(f"{40 - len(ended)} slow clients still hold a connection after 12 s")

        began, statuses = time.perf_counter(), collections.Counter()
        with contextlib.ExitStack() as stack:
            open_ones = []
            for _ in range(given.connections):
                with contextlib.suppress(OSError):
                    open_ones.append(stack.enter_context(server.connect(5)))
            rows.append(f"| {len(open_ones)} connections at once, 64 allowed | | {time.perf_counter() - began:.1f} s | {server.memory():.0f} MB |")
        time.sleep(1)
        status, _ = server.post("/predict", picture)
        if status != 200:
            wrong.append(f"after the connections: {status}")

        healthy.done.set()
        healthy.join(PATIENCE)
        growth = server.memory() - before
        server.process.terminate()
        said = server.process.communicate(timeout=60)[1]
        if server.process.returncode or "panicked" in said:
            wrong.append(f"serve ended with {server.process.returncode}: {said[:500]}")
    right = {(status, body): count for (status, body), count in healthy.answers.items() if status == 200}
    others = {key: count for key, count in healthy.answers.items() if key[0] != 200}
    if len(right) != 1 or others:
        wrong.append(f"the client that behaves got {len(right)} different answers, and {list(others)[:3]}")
    if growth > MOST_GROWTH:
        wrong.append(f"memory grew by {growth:.0f} MB, more than {MOST_GROWTH:.0f}")
    print("| what | answered | took | memory after it |\n|---|---|---|---|")
    print("\n".join(rows))
    print(
        f"\nThe client that behaves: {sum(right.values())} answers, all the same, the slowest after {healthy.slowest:.2f} s; turned away "
        f"{healthy.turned_away} times (503) while all connections were taken. Memory: {before:.0f} MB before, {before + growth:.0f} MB after."
    )
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
