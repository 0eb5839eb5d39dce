"""Keyword arguments as the flags of the command line. What flags there are, the core knows; there is no list of them here."""

from __future__ import annotations

import functools
import keyword
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from . import _core
from ._errors import ArgumentError

Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def of(command: str) -> dict[str, dict[str, Any]]:
    """The flags of a command by the names of their keywords."""
    return {keyword_of(flag["name"]): flag for flag in _core.flags(command)}


def keyword_of(flag: str) -> str:
    """The keyword for a flag: ``class_`` where Python has the word for itself."""
    word = flag.replace("-", "_")
    return f"{word}_" if keyword.iskeyword(word) else word


def words(command: str, given: Mapping[str, Any], without: Sequence[str] = ()) -> list[str]:
    """What is given as keywords, as the command line has it: ``unfreeze=20`` is ``--unfreeze=20``."""
    known = of(command)
    found: list[str] = []
    for word, value in given.items():
        flag = known.get(word)
        name = flag["name"] if flag else word.replace("_", "-")
        if word in without:
            raise ArgumentError(f"`{word}` is no keyword of this function\nhelp: leave it out")
        if value is None or value is False:
            continue
        if value is True and (flag is None or flag["is_switch"] or flag["value_is_optional"]):
            found.append(f"--{name}")
        elif flag and flag["is_switch"]:
            raise ArgumentError(f"`{word}={value!r}`: it is on or off\nhelp: give True or False")
        elif flag and flag["is_repeated"] and not isinstance(value, (str, os.PathLike)):
            found += [f"--{name}={text(word, one)}" for one in value]
        else:
            found.append(f"--{name}={text(word, value)}")
    return found


def text(word: str, value: Any) -> str:
    """A value in the words of the command line."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={one}" for key, one in value.items())
    if isinstance(value, (tuple, list)):
        if word == "image_size":
            return "x".join(map(str, value))
        return ",".join(text(word, one) for one in value)
    return str(value)


def documented(command: str, without: Sequence[str] = ()) -> Callable[[Function], Function]:
    """Adds what the command line says of each flag to a function's docstring."""

    def add(function: Function) -> Function:
        lines = [
            f"    {word}: {flag['help']}"
            for word, flag in of(command).items()
            if word not in without and flag["help"]
        ]
        listed = "\n".join(textwrap.fill(line, 118, subsequent_indent=" " * 8) for line in lines)
        function.__doc__ = f"{textwrap.dedent(function.__doc__ or '').strip()}\n\nKeyword arguments, which are the flags of ``frostline {command}``:\n{listed}\n"
        return function

    return add
