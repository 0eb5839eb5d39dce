"""The book in docs/ as its tests and scripts/book read it: pages, blocks of code, links."""

import dataclasses
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

# Before a block that is not run: why. The book does not show it.
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
FENCE = re.compile(r"^```(\w*)$")
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$")


@dataclasses.dataclass
class Block:
    """A block of code: its language, text, first line in the page, and why it is not run, if so."""

    language: str
    text: str
    line: int
    not_run: str | None
    follows: bool  # nothing stands between it and the block before


def pages():
    """All pages of the book, and README."""
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def blocks(page):
    """The blocks of a page, in order."""
    found, inside, not_run, between = [], None, None, "begin"
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if inside is not None:
            if line == "```":
                inside.text = inside.text.removesuffix("\n")
                found.append(inside)
                inside, not_run, between = None, None, ""
            else:
                inside.text += line + "\n"
        elif fence:
            inside = Block(fence[1], "", number, not_run, between == "")
        else:
            mark = NOT_RUN.match(line)
            not_run = mark[1] if mark else (not_run if not line.strip() else None)
            between += line.strip()
    assert inside is None, f"{page}: the block of line {inside.line} has no end"
    return found


def prose(page):
    """The lines of a page that are no code."""
    inside = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield line


def anchor(heading):
    """What a heading is called in links, by GitHub and mdBook alike."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(page):
    return {anchor(match[1]) for line in prose(page) if (match := HEADING.match(line))}


def links(page):
    """What a page links to."""
    return [target for line in prose(page) for target in LINK.findall(line)]


def broken_links(page):
    """The links of a page to files and headings that are not there."""
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            broken.append(target)
        elif heading and heading not in anchors(file):
            broken.append(target)
        elif page.parent == DOCS and DOCS not in file.parents:
            broken.append(f"{target} (outside of the book)")
    return broken


LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def plain(text):
    """A message without what differs from case to case, as one line of words: `…` stands for that."""
    text = re.sub(r"\{[^{}]*\}", "…", text.replace("\\n", " ").replace('\\"', '"'))
    return " ".join(text.replace("`", "").split())


def messages():
    """The texts of the sources without their tests, by file: literals, which may go on behind a `\\` in the next line."""
    for file in sorted(ROOT.glob("crates/*/src/**/*.rs")):
        code = re.sub(r"^\s*//.*$", "", file.read_text().split("#[cfg(test)]")[0], flags=re.MULTILINE)
        for literal in LITERAL.findall(code):
            yield file.relative_to(ROOT), re.sub(r"\\\n\s*", "", literal)


def entries():
    """The messages of the page of errors: the first cell of each row, as words between what differs."""
    rows = re.findall(r"^\| (.+?) \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    heads = {"message", "kind"}
    return [row for row in rows if row not in heads and not re.fullmatch(r"`\w+`", row)]


@functools.cache
def words_of(entry):
    """The words of an entry between what differs."""
    return [part.strip(" :.,") for part in plain(entry).split("…") if part.strip(" :.,")]


def tells(entry, text):
    """Whether the words of an entry stand in a text, in their order."""
    at = 0
    for words in words_of(entry):
        at = text.find(words, at)
        if at < 0:
            return False
        at += len(words)
    return True
