"""Writes docs/reliability.md: what happens when frostline is killed, when it lacks what it counts on, when it works long or on much, and
when clients misbehave.

usage: record.py FROSTLINE      (with the Python package `frostline` installed)
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
        "SIGKILL at 200 moments, spread evenly over how long each command takes. What lies on disk under a final name after the kill is whole or "
        "not there. The same command (training with `--resume`) then ends with the same bytes as if it had not been killed, apart "
        "from times, and leaves no other file. `cache verify` finds nothing wrong.",
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
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    binary = parser.parse_args().frostline.resolve()
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    page = [
        "# Reliability",
        "",
        f"Written by `tests/reliability/record.py` on {datetime.date.today()}, with {said} on {os.cpu_count()} cores. It runs the scripts "
        "beside it, each of which also runs alone and fails if anything here does not hold.",
    ]
    for script, (title, about) in PARTS.items():
        given = [] if script == "soak.py" else [binary]
        done = subprocess.run([sys.executable, HERE / script, *given], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{script} failed:\n{done.stdout}{done.stderr}")
        page += ["", f"## {title}", "", about, "", done.stdout.strip()]
        print(script, "done", flush=True)
    (ROOT / "docs" / "reliability.md").write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
