"""What goes wrong, and what is told: the texts of the command line."""

from __future__ import annotations


class FrostlineError(Exception):
    """It failed. The message names the file, the layer and what to do.

    Example:
        >>> import frostline as fl
        >>> try:
        ...     fl.load("no-such.keras")
        ... except fl.FrostlineError as error:
        ...     print(error.help)
        look at the path
    """

    @property
    def help(self) -> str | None:
        """What can be done, where that is known."""
        _, found, text = str(self).rpartition("\nhelp: ")
        return text if found else None


class ArgumentError(FrostlineError, ValueError):
    """The arguments are wrong, or do not fit the model or the data. It is a ``ValueError``, too."""


class FrostlineWarning(UserWarning):
    """What you should know though it is no error."""
