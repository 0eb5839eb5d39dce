"""What must hold after a command was disturbed: nothing half-written looks whole, the same command goes on, and nothing is left behind."""

import time

from commands import digest, files, run, tree

# What grows by a line at a time, and may end in half of one.
GROWS = {"metrics.jsonl", "search.jsonl"}
# Under such names files are written before they have their own.
TEMPORARY = ".frostline-"


def undisturbed(command, binary, folder):
    """What a run that nobody disturbs leaves, and how long it takes."""
    command.prepare(binary, folder)
    began = time.perf_counter()
    done = run(command.line(binary, folder), folder)
    if done.returncode:
        raise SystemExit(f"{command.name} fails undisturbed:\n{done.stderr}")
    return tree(folder), time.perf_counter() - began


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


def wrongs(command, binary, folder, whole):
    """What is wrong after a command was disturbed: looks at what is there, runs the command again, and looks at it once more."""
    wrong = [f"`{name}` is there and is not whole" for name in half_written(folder, whole)]
    # a finished one has nothing to go on with, but what was left behind it goes
    was_finished = command.is_finished(folder)
    done = run(command.line(binary, folder, command.again), folder)
    if done.returncode and not was_finished:
        wrong.append(f"does not go on: {done.stderr.strip()}")
    found = tree(folder)
    differ = sorted(name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name))
    if differ:
        wrong.append(f"other files than undisturbed: {', '.join(differ)}")
    return wrong + [f"the cache: {what}" for what in cache_is_sound(binary, folder)]
