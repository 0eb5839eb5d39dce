"""Kills frostline at each system call that changes a file, and lets each fail.

usage: calls.py FROSTLINE [--every 1] [--only COMMAND]
       calls.py FROSTLINE --of FILE…     (the table of what runs of single commands have printed; of a command the last line counts)

calls.c, which it compiles with cc, counts the calls of an undisturbed run of each command. Then there is a run for each of them:

- killed before the call; a write is also cut in the middle, and then killed. What must hold then is what kills.py asks for.
- the call fails, as if the disk were full (ENOSPC) or broken (EIO), with all later ones. The command is done with the same result, or it
  ends with an error that has a remedy or names the file, and what must hold after a kill holds. It never panics.

For Linux on x86-64.
"""

import argparse
import collections
import errno
import pathlib
import shutil
import subprocess
import tempfile

from aftermath import undisturbed, wrongs
from commands import COMMANDS, environment

HERE = pathlib.Path(__file__).resolve().parent
KILLED = 128 + 9
ERRORS = {"the disk is full": errno.ENOSPC, "the disk is broken": errno.EIO}


def traced(calls, how, command, binary, folder):
    line = [str(calls), *map(str, how), *command.line(binary, folder)]
    return subprocess.run(line, env=environment(folder), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def names(calls, command, binary, folder):
    """The names of the calls of an undisturbed run, in order."""
    command.prepare(binary, folder)
    told = folder.with_suffix(".txt")
    done = traced(calls, ("count", told), command, binary, folder)
    if done.returncode:
        raise SystemExit(f"{command.name} fails under the tracer:\n{done.stderr}")
    shutil.rmtree(folder)
    return told.read_text().split()


def says_what_to_do(done):
    """Whether a command that failed said so as one should."""
    said = done.stderr
    return done.returncode == 1 and "panicked" not in said and ("help: " in said or "`" in said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=1, help="disturb at each call of this many")
    parser.add_argument("--only", help="one command")
    parser.add_argument("--of", nargs="*", type=pathlib.Path)
    given = parser.parse_args()
    print("| command | calls that change files | killed before | killed within a write | disk full | disk broken | all as it must be |")
    print("|---|---|---|---|---|---|---|")
    if given.of:
        lines = [line for path in given.of for line in path.read_text().splitlines()]
        rows = {command.name: [line for line in lines if line.startswith(f"| {command.name} |")] for command in COMMANDS}
        print("\n".join(found[-1] for found in rows.values() if found))
        return
    binary = given.frostline.resolve()
    wrong = []
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        calls = place / "calls"
        subprocess.run(["cc", "-O1", "-o", calls, HERE / "calls.c"], check=True)
        for command in COMMANDS:
            if given.only not in (None, command.name):
                continue
            whole, _ = undisturbed(command, binary, place / "whole")
            shutil.rmtree(place / "whole")
            all_calls = names(calls, command, binary, place / "counted")
            counts = collections.Counter()
            before = len(wrong)
            for number in range(1, len(all_calls) + 1, given.every):
                is_write = all_calls[number - 1] in ("write", "pwrite")
                kinds = [("killed before", ("kill", number))]
                kinds += [("killed within a write", ("torn", number))] if is_write else []
                kinds += [(what, ("fail", number, error, "stay")) for what, error in ERRORS.items()]
                for what, how in kinds:
                    folder = place / "disturbed"
                    command.prepare(binary, folder)
                    done = traced(calls, how, command, binary, folder)
                    counts[what] += 1
                    found = []
                    if how[0] == "fail" and done.returncode and not says_what_to_do(done):
                        found.append(f"ends with {done.returncode}: {done.stderr.strip()}")
                    if how[0] != "fail" and done.returncode not in (0, KILLED):
                        found.append(f"ends with {done.returncode}")
                    found += wrongs(command, binary, folder, whole)
                    wrong += [f"{command.name}, {what} call {number} ({all_calls[number - 1]}): {one}" for one in found]
                    shutil.rmtree(folder)
            row = [command.name, len(all_calls), counts["killed before"], counts["killed within a write"]]
            row += [counts[what] for what in ERRORS]
            bad = len({line.rsplit(")", 1)[0] for line in wrong[before:]})
            print(f"| {' | '.join(map(str, row))} | {sum(counts.values()) - bad} of {sum(counts.values())} |", flush=True)
    for line in wrong:
        print(f"error: {line}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
