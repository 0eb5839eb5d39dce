"""Writes py/frostline/_keywords.py from the flags that the core knows.

usage: python py/tests/keywords.py      (with the package installed)
"""

import pathlib

from frostline import _flags

FILE = pathlib.Path(__file__).parent.parent / "frostline/_keywords.py"
COMMANDS = ("train", "plan", "depth", "embed", "predict", "explain", "convert")
HEAD = '''"""The keyword arguments of the functions, for type checkers. `python py/tests/keywords.py` writes this file."""

from collections.abc import Sequence
from typing import Any, TypedDict
'''


def kind(flag):
    if flag["is_switch"]:
        return "bool"
    return "str | Sequence[Any]" if flag["is_repeated"] else "Any"


def listing():
    """The file's text."""
    parts = [HEAD]
    for command in COMMANDS:
        lines = [f"    {word}: {kind(flag)}" for word, flag in _flags.of(command).items()]
        parts.append("\n".join([f"\nclass {command.title()}Flags(TypedDict, total=False):", *lines, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(listing())
