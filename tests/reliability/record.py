"""Writes docs/reliability.md: what happens when frostline is killed, when it lacks what it counts on, when it works long or on much, when
clients misbehave, and when files are damaged.

usage: record.py FROSTLINE [--only SCRIPT…] [--every 10]     (with the Python package `frostline` installed)

With --only the sections of the other scripts stay as they are. All system calls are some thousands, and take hours: --every disturbs at one
of as many.
"""

import argparse
import datetime
import os
import pathlib
import subprocess
import sys

from commands import ROOT

HERE = pathlib.Path(__file__).resolve().parent
PARTS = {
    "kills.py": (
        "Killed at random moments",
        "SIGKILL at 220 moments, spread evenly over how long each command takes, and while `serve` answers. What lies on disk under a "
        "final name after the kill is whole or not there. The same command (training with `--resume`) then ends with the same bytes as if "
        "it had not been killed, apart from times, and leaves no other file. `cache verify` finds nothing wrong.",
    ),
    "calls.py": (
        "At each system call",
        "Each system call by which a command changes a file, one after the other: killed before it, killed within it (half of what was to be "
        "written is), and from it on all such calls fail. After a kill the same holds as above. Where calls fail the command is done with "
        "the same result, or ends with an error that says what to do; afterwards the same command goes on.",
    ),
    "growth.py": (
        "Many photos",
        "The most memory that a training takes, by the number of photos.",
    ),
    "soak.py": (
        "A thousand trainings in one process",
        "The memory of a Python process after so many trainings.",
    ),
    "faults.py": (
        "Without what it counts on",
        "A training of 300 pictures. No line ends in a panic, in a failure without a remedy, or in another model than undisturbed.",
    ),
    "abuse.py": (
        "Clients that misbehave",
        "`serve` with small limits, on the loopback, while one client asks for the same prediction all the while.",
    ),
    "memory.py": (
        "Memory of the kernels",
        "The tests of the crate that has all unsafe code, under tools that watch each access to memory.",
    ),
    "fuzz.py": (
        "Files that are nearly right",
        "Files of real tools, changed as their formats are built (fuzz/README.md). No file panics, ends the process, takes more than a second of "
        "the processor, or takes more memory than twice its own size and 64 MB; a picture may take 16 bytes for each of its pixels, and a second "
        "for four million of them, besides.",
    ),
}

BESIDE = """## Beside what others promise and test

| | what it promises or tests | here |
|---|---|---|
| SQLite | each call for memory and each call of the system fails in turn, power is cut at random moments, and the database must be sound afterwards | `calls.py` kills a command before and within the system calls by which it changes files, and makes them fail (the table above says how many of them). Calls for memory are not made to fail |
| SQLite | its tests go through each branch, and through each condition of a branch that decides | not measured |
| SQLite | its fuzzer changes some hundreds of millions of statements and database files a day | 100,000 files of each format, above, where a parser was changed |
| image-rs | targets for AFL and libFuzzer for its formats; limits on the memory that a decoder takes | the same formats, with limits on memory and time; a decoder that panics is contained |
| safetensors | nothing in a file is executed; a header of 100 MB at most; sizes are multiplied with a check for overflow; tensors may not overlap. Trail of Bits reviewed it in 2023 | all of that holds of its files here, which that crate reads; nobody outside has reviewed frostline |

Sources: SQLite's page "How SQLite Is Tested", the `fuzz` folders of image-rs and of its decoders, the format's description of safetensors and the report of its review."""


HEAD = """# Reliability

Written by `tests/reliability/record.py`. It runs the scripts beside it, each of which also runs alone and fails if anything here does not hold."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--every", default="10")
    arguments = parser.parse_args()
    binary, page = arguments.frostline.resolve(), ROOT / "docs" / "reliability.md"
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    machine = f"on {datetime.date.today()}, with {said} on {os.cpu_count()} cores"
    made = {}
    for script in arguments.only:
        title, about = PARTS[script]
        given = {"soak.py": [], "calls.py": [binary, "--every", arguments.every]}.get(script, [binary])
        done = subprocess.run([sys.executable, HERE / script, *given], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{script} failed:\n{done.stdout}{done.stderr}")
        line = " ".join([script, *map(str, given[1:])])
        made[title] = f"## {title}\n\n{about}\n\n{done.stdout.strip()}\n\n`{line}` {machine}."
        print(script, "done", flush=True)
    # what is there by now: others may have written meanwhile
    all_parts = sections(page.read_text()) | made
    parts = [all_parts[title] for title, _ in PARTS.values() if title in all_parts]
    page.write_text("\n\n".join([HEAD, *parts, BESIDE]) + "\n")


def sections(text):
    """The sections of a page, each with its title."""
    parts = text.split("\n## ")[1:]
    return {part.split("\n")[0]: f"## {part.strip()}" for part in parts}


if __name__ == "__main__":
    main()
