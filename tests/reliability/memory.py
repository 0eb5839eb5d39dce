"""Runs the tests of the kernels, where all unsafe code is, under tools that watch each access to memory.

usage: memory.py [FROSTLINE]     (the binary is not needed: the tests are compiled)

- AddressSanitizer, on the vector instructions that this processor has: what is read or written beyond an allocation, or after it was
  given back.
- Valgrind, on the same: also what depends on memory that was not initialised. It does not know AVX-512.
- Guard pages, on all vector instructions that this processor has, AVX-512 too: each allocation ends where a page begins that may not be
  touched, or begins where one ends. This is one of the ordinary tests (`guard_pages.rs`), and is run once more here.
- Miri, which interprets the compiler's own intermediate code: also what is not aligned, not initialised, or aliased against Rust's rules.
  It has no vector instructions here, so it sees the portable kernels; and it is some thousand times slower, so it runs the tests of those
  files with unsafe code that end in minutes.

It wants valgrind, and a nightly toolchain: `rustup toolchain install nightly --component miri --component rust-src`.
"""

import json
import os
import re
import subprocess
import sys

from commands import ROOT

KERNELS = ROOT / "crates/kernels"
NIGHTLY = ["cargo", "+nightly"]
# That test runs all others once more.
OTHERS = ["--skip", "guard_pages"]
TARGET = "x86_64-unknown-linux-gnu"
# Streaming stores are instructions of the processor, which it does not know.
MIRI = {
    "stored::": "halves in the memory of floats",
    "concat::": "columns",
    "matmul::tests::products_agree_with_three_loops": "products of matrices",
    "depthwise::tests::any_window_agrees_with_the_plain_loops": "depthwise convolutions",
}


def tests(tool, environment, *line):
    """How many tests passed. Ends this program where one does not, with what the tool says."""
    done = subprocess.run(line, cwd=KERNELS, env=os.environ | environment, capture_output=True, text=True)
    passed = sum(map(int, re.findall(r"test result: ok\. (\d+) passed", done.stdout)))
    if done.returncode or not passed:
        sys.exit(f"{tool}:\n{done.stdout}{done.stderr}")
    return passed


def program():
    """The program of the tests, as the ordinary tests have it."""
    line = ["cargo", "test", "--release", "--lib", "--no-run", "--message-format=json", "--package", "frostline-kernels"]
    done = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    made = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(one["executable"] for one in made if one.get("executable") and one["target"]["name"] == "frostline_kernels")


def main():
    few = {"PROPTEST_CASES": "1", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1", "RAYON_NUM_THREADS": "2"}
    print("| tool | tests of | tests | found |\n|---|---|---|---|")
    # optimised code of many instruction sets takes long to be compiled with it
    asan = {"RUSTFLAGS": "-Zsanitizer=address", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1", "PROPTEST_CASES": "16"}
    count = tests(
        "AddressSanitizer", asan, *NIGHTLY, "test", "--release", "--lib", "--target", TARGET, "--target-dir", str(ROOT / "target/asan"),
        "--", *OTHERS,
    )  # fmt: skip
    print(f"| AddressSanitizer | all kernels | {count} | nothing |", flush=True)
    own = program()
    count = tests("Valgrind", few, "valgrind", "--error-exitcode=9", "--quiet", own, *OTHERS, "--test-threads=1")
    print(f"| Valgrind | all kernels | {count} | nothing |", flush=True)
    for side in "after", "before":
        count = tests("guard pages", {"FROSTLINE_GUARD_PAGES": side, "PROPTEST_CASES": "16"}, own, *OTHERS)
        print(f"| guard pages {side} each allocation | all kernels | {count} | nothing |", flush=True)
    miri = few | {"MIRIFLAGS": "-Zmiri-disable-isolation -Zmiri-ignore-leaks"}
    for name, what in MIRI.items():
        count = tests("Miri", miri, *NIGHTLY, "miri", "test", "--lib", "--", name)
        print(f"| Miri | {what} | {count} | nothing |", flush=True)


if __name__ == "__main__":
    main()
