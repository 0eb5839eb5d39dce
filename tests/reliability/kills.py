"""Kills frostline (SIGKILL) at random moments, looks at what is left, and runs the same command again.

usage: kills.py FROSTLINE [--kills 200]

After each kill: what is on disk under a final name is whole, byte for byte what an undisturbed run writes, or is not there. Then the same
command (training with --resume) must end as if nothing had happened: the same files with the same content, and none besides.
"""

import argparse
import collections
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile

from aftermath import undisturbed, wrongs
from commands import COMMANDS, environment


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
            folder.mkdir()
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
    for line in wrong:
        print(f"error: {line}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
