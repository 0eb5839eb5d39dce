"""Every command of the book runs, and prints what the page says; every link leads somewhere; no error message is stale.

A chapter's blocks of `sh` and `python` run in order, in one shell, in a folder of the chapter's own. The folder begins as that
in which the first chapter ended, with its model, photos and run. A block of `text` right behind a block is what that block
prints, on standard output and standard error. So that the book reads well,

* a page may break long lines where a terminal would: white space counts as one space;
* a line `…` stands for any number of lines;
* what depends on the machine is not compared: what MASKED finds;
* a number with a point may differ by one in its last digit;
* another processor than that of PROCESSOR computes other last bits, by which a photo or a choice may tip over: there what differs is a
  warning, and that each command works is all that is asked.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import book
from conftest import BINARY, ROOT
from torch_formula import save_safetensors

FIRST = "first-photos.md"
# Blocks of commands that are not run, by the reason that stands in the page. Each is counted, so that none slips in.
NOT_RUN = {
    "it needs a bucket": 1,
    "a download": 1,
    "it builds": 2,
    "py/tests runs the package": 3,
    "PyTorch is not among the requirements": 9,
}
# Seconds, bytes and processors are the machine's.
MASKED = re.compile(r"\d+(?:\.\d+)? (?:ms|s|MiB|KiB)\b|[0-9a-f]{16,}")
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.]*\d)")
PORT = "127.0.0.1:8000"
# Where the pages were made: the model's name, and the widest vector instructions.
PROCESSOR = ("AMD EPYC", "avx2")
BEGIN = "@@@ the block of line"


def runs(block):
    return block.language in ("sh", "python") and not block.not_run


CHAPTERS = [page.name for page in book.pages() if page.name != FIRST and any(map(runs, book.blocks(page)))]


def script(blocks, port):
    """One shell script of all blocks: each says its line before, and a server has answered before the next begins."""
    lines = ["set -euo pipefail"]
    for block in blocks:
        text = block.text.replace(PORT, f"127.0.0.1:{port}")
        lines.append(f"echo; echo '{BEGIN}' {block.line}")
        if block.language == "python":
            # TensorFlow greets on standard error
            lines.append(f"{shlex.quote(sys.executable)} - 2>>python.log <<'END_OF_BLOCK' || (cat python.log; exit 1)\n{text}\nEND_OF_BLOCK")
            continue
        lines.append(text)
        if text.endswith(" &"):
            lines.append(f"for _ in $(seq 300); do curl -sf http://127.0.0.1:{port}/healthz >healthz.log && break; sleep 0.1; done")
        if text.endswith("kill $!"):
            lines.append("wait")
    return "\n".join(lines) + "\n"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def run(page, folder, environment):
    """Runs a page's blocks. The list of what they print and the page does not say so."""
    blocks = book.blocks(page)
    port = free_port()
    (folder / "chapter.sh").write_text(script([block for block in blocks if runs(block)], port))
    begun = time.monotonic()
    done = subprocess.run(
        ["bash", "chapter.sh"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600
    )
    printed = dict(re.findall(rf"^{BEGIN} (\d+)\n(.*?)(?=^{BEGIN}|\Z)", done.stdout, re.DOTALL | re.MULTILINE))
    last = list(printed)[-1] if printed else 0
    assert done.returncode == 0, f"{page.name}:{last}: the block ended with status {done.returncode}\n{printed.get(last, done.stdout)}"
    print(f"{page.name}: {len(printed)} blocks in {time.monotonic() - begun:.1f} s")
    wrong = []
    for before, block in zip(blocks, blocks[1:]):
        if block.language == "text" and block.follows and runs(before):
            found = printed[str(before.line)].replace(f"127.0.0.1:{port}", PORT)
            if why := difference(block.text, found):
                wrong.append(f"{page.name}:{block.line}: {why}\n--- the page says\n{block.text}\n--- printed\n{found}")
    return wrong


def processor():
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return name and name[1].strip(), "avx512f" if "avx512f" in text else "avx2"


def told(wrong):
    """Fails where pages say something else; on another processor it warns."""
    if wrong and processor() != PROCESSOR:
        warnings.warn(f"the pages were made on {PROCESSOR}, this is {processor()}: " + "\n\n".join(wrong))
    else:
        assert not wrong, "\n\n".join(wrong)


def difference(said, found):
    """What differs between what a page says and what was printed; None if nothing does."""
    numbers, pattern = [], []
    for line in said.splitlines():
        if line.strip() == "…":
            pattern.append(r"(?:.*\s)?")
            continue
        for word in MASKED.sub("MASKED", line).split():
            words = re.split(r"(MASKED)|(" + NUMBER.pattern + ")", word)
            for part in filter(None, words):
                if part == "MASKED":
                    pattern.append("MASKED")
                elif NUMBER.fullmatch(part):
                    numbers.append(part)
                    pattern.append(r"(-?\d+\.\d+)")
                else:
                    pattern.append(re.escape(part))
            pattern.append(r"\s+")
    match = re.fullmatch(r"\s*" + "".join(pattern) + r"\s*", MASKED.sub("MASKED", found) + "\n", re.DOTALL)
    if not match:
        return "other words"
    for expected, actual in zip(numbers, match.groups()):
        digits = len(expected.split(".")[1])
        if abs(float(expected) - float(actual)) > 1.001 * 10**-digits:
            return f"{expected} in the page, {actual} now"
    return None


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """The folder in which the first chapter has run, and the environment of all."""
    assert BINARY.exists(), f"{BINARY} is missing: cargo build --release"
    folder = tmp_path_factory.mktemp("book")
    (folder / "bin").mkdir()
    (folder / "bin" / "frostline").symlink_to(BINARY)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    work = folder / "work"
    work.mkdir()
    # as in a clone of the repository
    for name in ("bench", "crates", "data", "scripts", "tests"):
        (work / name).symlink_to(ROOT / name)
    wrong = run(book.DOCS / FIRST, work, environment)
    return work, environment, wrong


def test_the_first_chapter_prints_what_it_says(first):
    told(first[2])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_prints_what_it_says(chapter, first, tmp_path):
    work, environment, _ = first
    shutil.copytree(work, tmp_path / "work", symlinks=True)
    page = ROOT / chapter if chapter == "README.md" else book.DOCS / chapter
    if chapter == "from-pytorch.md":
        # what the block with torchvision, which is not run, would have saved; its weights are a formula
        golden = json.loads((ROOT / "tests/golden/torch/torchvision-resnet18.json").read_text())
        save_safetensors(tmp_path / "work" / "resnet18.safetensors", golden["tensors"])
    told(run(page, tmp_path / "work", environment))


def test_blocks_that_do_not_run_are_counted():
    found = {}
    for page in book.pages():
        for block in book.blocks(page):
            if block.not_run:
                assert block.language in ("sh", "python"), f"{page}:{block.line}: a block of `{block.language}` never runs"
                found[block.not_run] = found.get(block.not_run, 0) + 1
    assert found == NOT_RUN


def test_a_page_that_says_something_else_is_noticed():
    said = "9 photos in 2 classes\n…\nexpect 92.1 % of them\nwrote run (0.6 s)"
    printed = "9 photos in 2 classes\nhead solved\nexpect {} % of them\nwrote run (17 s)"
    assert difference(said, printed.format("92.1")) is None
    assert difference(said, printed.format("92.2")) is None
    assert "92.3 now" in difference(said, printed.format("92.3"))
    assert difference(said, printed.format("92.1") + "\nwarning: more") == "other words"
    assert difference(said.replace("9 photos", "8 photos"), printed.format("92.1")) == "other words"


def test_links_lead_somewhere():
    broken = {page.name: links for page in book.pages() if (links := book.broken_links(page))}
    assert not broken


def test_every_page_is_in_the_summary():
    listed = book.links(book.DOCS / "SUMMARY.md")
    assert len(listed) == len(set(listed))
    assert set(listed) == {page.name for page in book.DOCS.glob("*.md")} - {"SUMMARY.md"}


# What the page of errors sums up instead of listing it: the settings of each layer kind, and the solvers, which check what
# frostline itself passes to them.
SUMMED_UP = ("crates/graph/src/layers/", "crates/head/")


def test_every_entry_of_the_page_of_errors_stands_in_the_source():
    texts = [book.plain(text) for _, text in book.messages()]
    stale = [entry for entry in book.entries() if not any(book.tells(entry, text) for text in texts)]
    assert not stale


def test_every_error_with_a_remedy_is_on_the_page_of_errors():
    entries, missing = book.entries(), []
    for file, text in book.messages():
        said, separator, _ = text.partition("\\nhelp: ")
        words = re.sub(r"…|\W", "", book.plain(said))
        # what is put together from parts has its words elsewhere
        if separator and len(words) > 12 and not str(file).startswith(SUMMED_UP):
            if not any(book.tells(entry, book.plain(text)) for entry in entries):
                missing.append(f"{file}: {book.plain(text)}")
    assert not missing, "\n".join(missing)


def test_every_kind_of_error_is_on_the_page_of_errors():
    source = (ROOT / "crates/graph/src/error.rs").read_text()
    kinds = re.findall(r"^    (\w+),$", source.split("pub enum ErrorKind {")[1].split("}")[0], re.MULTILINE)
    page = (book.DOCS / "errors.md").read_text()
    assert len(kinds) > 5
    assert [kind for kind in kinds if f"| `{kind}` |" not in page] == []


def test_an_entry_is_found_by_its_words_in_their_order():
    text = book.plain("cannot keep {keep}: the model has {layers} layers\\nhelp: {}")
    assert book.tells("cannot keep …: the model has … layers", text)
    assert not book.tells("the model has … layers: cannot keep …", text)
    assert not book.tells("cannot keep …: the network has … layers", text)
