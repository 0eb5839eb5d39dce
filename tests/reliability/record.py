"""Writes docs/reliability.md: what happens when frostline is killed, when it lacks what it counts on, and when clients misbehave.

usage: record.py FROSTLINE
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
        f"Written by `tests/reliability/record.py` on {datetime.date.today()}, with {said} on {os.cpu_count()} cores. It runs the three scripts "
        "beside it, each of which also runs alone and fails if anything here does not hold.",
    ]
    for script, (title, about) in PARTS.items():
        done = subprocess.run([sys.executable, HERE / script, binary], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{script} failed:\n{done.stdout}{done.stderr}")
        page += ["", f"## {title}", "", about, "", done.stdout.strip()]
        print(script, "done", flush=True)
    (ROOT / "docs" / "reliability.md").write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
