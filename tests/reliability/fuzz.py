"""Reads changed files of every format, and fails where one panics, ends the process, takes longer than a second or too much memory.

usage: fuzz.py FROSTLINE [--mutations 100000] [--formats NAME…]
       fuzz.py FROSTLINE --of FILE…     (the table of what runs of the driver have printed; of a format the last line counts)

It makes the seeds with FROSTLINE and the packages of tests/keras/requirements.txt, compiles the driver in fuzz/ (fuzz/README.md says what
it looks for), and runs it.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from commands import ROOT

FUZZ = ROOT / "fuzz"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frostline", type=pathlib.Path)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--formats", nargs="*", default=[])
    parser.add_argument("--of", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.of:
        lines = [json.loads(line) for path in arguments.of for line in path.read_text().splitlines() if line.startswith("{")]
        told(list({line["format"]: line for line in lines}.values()))
        return
    subprocess.run([sys.executable, FUZZ / "make_seeds.py", arguments.frostline.resolve()], check=True, stdout=subprocess.DEVNULL)
    line = ["cargo", "run", "--quiet", "--release", "--bin", "drive", "--", *arguments.formats, "--mutations", str(arguments.mutations)]
    done = subprocess.run(line, cwd=FUZZ, stdout=subprocess.PIPE, text=True)
    told([json.loads(text) for text in done.stdout.splitlines()])
    if done.returncode:
        sys.exit("a changed file did what no file may")


def told(found):
    print("| format | seeds | changed files | of these read as a model | the slowest | the most memory | faults |")
    print("|---|---|---|---|---|---|---|")
    for one in found:
        faults = "; ".join(f"{count} x {what}" for what, count in one["faults"].items()) or "none"
        memory, slowest = f"{one['most_memory'] / 2**20:.0f} MB", f"{one['slowest']:.2f} s"
        models = f"{one['models']:,}" if one["models"] else ""
        print(f"| {one['format']} | {one['seeds']} | {one['mutations']:,} | {models} | {slowest} | {memory} | {faults} |")


if __name__ == "__main__":
    main()
