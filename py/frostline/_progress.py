"""What is told while a command runs: bars on a terminal and in a notebook, lines otherwise, warnings as Python has them."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Protocol

from ._errors import FrostlineWarning

EIGHTHS = " ▏▎▍▌▋▊▉"
WIDTH = 20


class Tell(Protocol):
    """Is told of lines, warnings and counts."""

    def __call__(self, kind: str, text: str, done: int, total: int) -> None: ...


class Progress:
    """Writes to standard error, as tqdm looks.

    Args:
        shown: whether lines and bars are written. Warnings always are.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.bars = shown and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self.what = ""
        self.began = 0.0
        self.width = 0

    def __call__(self, kind: str, text: str, done: int, total: int) -> None:
        if kind == "warning":
            self.clear()
            # the call that is meant lies behind this one and the public function
            warnings.warn(text, FrostlineWarning, stacklevel=3)
        elif kind == "progress" and self.shown:
            self.clear()
            print(text, file=sys.stderr, flush=True)
        elif kind == "count" and self.bars:
            self.count(text, done, total)

    def count(self, what: str, done: int, total: int) -> None:
        """Moves the bar for ``what`` to ``done`` of ``total``."""
        if what != self.what:
            self.clear()
            self.what, self.began = what, time.monotonic()
        line = bar(what, done, total, time.monotonic() - self.began)
        sys.stderr.write("\r" + line.ljust(self.width))
        sys.stderr.flush()
        self.width = len(line)
        if done >= total:
            sys.stderr.write("\n")
            self.what, self.width = "", 0

    def clear(self) -> None:
        """Takes the bar away."""
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
        self.what, self.width = "", 0


def bar(what: str, done: int, total: int, seconds: float) -> str:
    """A line as tqdm writes it.

    >>> bar("train images", 5, 20, 2.0)
    'train images:  25%|█████               | 5/20 [00:02<00:06,  2.50it/s]'
    """
    share = done / total if total else 1.0
    eighths = int(share * WIDTH * 8)
    drawn = ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).ljust(WIDTH)[:WIDTH]
    rate = done / seconds if seconds > 0 else 0.0
    left = clock((total - done) / rate) if rate else "?"
    told = f"{rate:5.2f}it/s" if rate else "?it/s"
    return f"{what}: {share:4.0%}|{drawn}| {done}/{total} [{clock(seconds)}<{left}, {told}]"


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
