"""Kills frostline (SIGKILL) at random moments, looks at what is left, and runs the same command again.

usage: kills.py FROSTLINE [--kills 200]

After each kill: what is on disk under a final name is whole, byte for byte what an undisturbed run writes, or is not there. Then the same
command (training with --resume) must end as if nothing had happened: the same files with the same content, and none besides. `serve` is killed
while it answers, and must answer the same when it is started again.
"""

import argparse
import collections
import contextlib
import http.client
import json
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import numpy
from abuse import Server, picture_of
from aftermath import undisturbed, wrongs
from commands import COMMANDS, DATA, environment, files, without_times

# So many times a server is killed.
SERVED = 20


def kill(command, binary, folder, after):
    """False if the command was done before."""
    process = subprocess.Popen(
        command.line(binary, folder), env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def kill_serving(binary, place, draw):
    """Kills a server while it answers. What was wrong: another answer after it, or files that are left."""
    picture = picture_of(numpy.load(DATA)["x_test"][0].squeeze())
    answers, wrong = set(), []
    for number in range(SERVED):
        server = Server(binary, place)
        status, body = server.post("/predict", picture)
        answers.add((status, json.dumps(without_times(json.loads(body)))))
        asking = threading.Thread(target=ask_on, args=(server, picture))
        asking.start()
        time.sleep(draw.uniform(0, 0.2))
        server.process.kill()
        server.process.communicate()
        asking.join()
        if files(place) or len(answers) > 1:
            wrong.append(f"serve, kill {number}: left {sorted(files(place))}, gave {len(answers)} different answers")
    return wrong


def ask_on(server, picture):
    """Until nobody answers."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            server.post("/predict", picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=200)
    given = parser.parse_args()
    binary, draw = given.frostline.resolve(), random.Random(0)
    counts = collections.defaultdict(collections.Counter)
    wrong = []
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        wholes = {}
        for index, command in enumerate(COMMANDS):
            wholes[command.name] = undisturbed(command, binary, place / f"whole{index}")
        order = [command for command in COMMANDS for _ in range(given.kills * command.share // 100)]
        for number, command in enumerate(order):
            whole, seconds = wholes[command.name]
            folder = place / "killed"
            command.prepare(binary, folder)
            killed = kill(command, binary, folder, draw.uniform(0, seconds))
            count = counts[command.name]
            count["kills" if killed else "done before"] += 1
            wrong += [f"{command.name}, kill {number}: {what}" for what in wrongs(command, binary, folder, whole)]
            shutil.rmtree(folder)
    print("| command | killed | done before | went on, ended alike, left nothing behind |")
    print("|---|---|---|---|")
    for command in COMMANDS:
        count = counts[command.name]
        bad = len({line.split(":")[0] for line in wrong if line.startswith(command.name + ", kill")})
        total = count["kills"] + count["done before"]
        print(f"| {command.name} | {count['kills']} | {count['done before']} | {total - bad} of {total} |")
    with tempfile.TemporaryDirectory() as place:
        found = kill_serving(binary, pathlib.Path(place), draw)
    wrong += found
    print(f"| serve | {SERVED} | 0 | {SERVED - len(found)} of {SERVED} |")
    for line in wrong:
        print(f"error: {line}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
