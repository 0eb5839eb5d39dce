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
import time

from commands import COMMANDS, digest, environment, files, run, tree

# What grows by a line at a time, and may end in half of one.
GROWS = {"metrics.jsonl", "search.jsonl"}
# Under such names files are written before they have their own.
TEMPORARY = ".frostline-"


def undisturbed(command, binary, folder):
    """What a run that nobody disturbs leaves, and how long it takes."""
    folder.mkdir()
    began = time.perf_counter()
    done = run(command.line(binary, folder), folder)
    if done.returncode:
        raise SystemExit(f"{command.name} fails undisturbed:\n{done.stderr}")
    return tree(folder), time.perf_counter() - began


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


def half_written(folder, whole):
    """Files under a final name whose content is another than that of an undisturbed run."""
    left = {name: path for name, path in files(folder).items() if name in whole and path.name not in GROWS}
    return [name for name, path in left.items() if whole[name] and content(path) != whole[name]]


def content(path):
    try:
        return digest(path)
    except ValueError:  # JSON that was cut
        return None


def cache_is_sound(binary, folder):
    """What `cache verify` says against the features that are left, and names of files that nobody will finish."""
    told = run([binary, "cache", "verify"], folder)
    unfinished = [path.name for path in folder.joinpath("cache").rglob("*") if TEMPORARY in path.name]
    return ([told.stdout.strip() or told.stderr.strip()] if told.returncode else []) + unfinished


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
        for number in range(given.kills):
            command = COMMANDS[number % len(COMMANDS)]
            whole, seconds = wholes[command.name]
            folder = place / "killed"
            folder.mkdir()
            killed = kill(command, binary, folder, draw.uniform(0, seconds))
            count = counts[command.name]
            count["kills" if killed else "done before"] += 1
            say = lambda what: wrong.append(f"{command.name}, kill {number}: {what}")  # noqa: E731
            for name in half_written(folder, whole):
                say(f"`{name}` is there and is not whole")
            finished = folder.joinpath("run/run.json").exists()
            if finished:
                count["finished"] += 1
            else:
                done = run(command.line(binary, folder, command.again), folder)
                if done.returncode:
                    say(f"does not go on: {done.stderr.strip()}")
            found = tree(folder)
            differ = sorted(name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name))
            if differ:
                say(f"other files than undisturbed: {', '.join(differ)}")
            for what in cache_is_sound(binary, folder):
                say(f"the cache: {what}")
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
