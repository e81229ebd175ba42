"""Text prompts: an instruction, and the history as token strings such as <c1_12><c2_3><s1_5>.

The strings are tokens of their own, added to a text tokenizer; the target block that follows a prompt is made of the
same tokens. Prompts are padded on the left, so that every block starts right after its prompt.

Shape legend: B prompts, P prompt length, N items, L levels, T tokens of all levels together.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from mindrec.errors import MindRecError
from mindrec.tokens.tokenizer import Tokenizer

MAX_TITLE = 60
"""Characters of a title that a prompt shows."""

TEMPLATES = (
    "A customer chose these items, oldest first:\n{history}\nThe item that they choose next is:\n",
    "Here is a shopping history in time order.\n{history}\nName the item that follows.\n",
    "Recommend one item for someone with this history:\n{history}\nRecommended item:\n",
    "Each line is an item: its category path, then its own code.\n{history}\nFill in the next line:\n",
    "Past choices, the latest at the end:\n{history}\nFrom coarse category to the exact item, the next choice is:\n",
    "Someone took\n{history}\nand is looking for one more thing. It is:\n",
    "Read the items below and predict what comes after the last one.\n{history}\nPrediction:\n",
    "Items so far:\n{history}\nNext item:\n",
)
"""Ways to ask; training draws one for each sample in each epoch, decoding uses the first."""


def token_strings(tokenizer: Tokenizer) -> list[str]:
    """A string for each of the T tokens: <c LEVEL _ CODE> for categories, <s LEVEL _ CODE> for semantic IDs."""
    out, seen = [], {"category": 0, "semantic": 0}
    for level in tokenizer.levels:
        seen[level.kind] += 1
        out += [f"<{level.kind[0]}{seen[level.kind]}_{code}>" for code in range(level.size)]
    return out


class Prompts:
    """Turns histories of item rows into token ids.

    Args:
        text_tokenizer: a Hugging Face tokenizer; the token strings are added to it.
        titles: of every item, to be shown beside its tokens; None shows tokens alone.
        start: id of a text token that every prompt starts with.

    Attributes:
        first_new: id of the first added token; the T added ones follow each other.
    """

    def __init__(
        self, text_tokenizer, tokenizer: Tokenizer, titles: Sequence[str] | None = None, start: int | None = None
    ):
        from transformers import AddedToken

        names = token_strings(tokenizer)
        text_tokenizer.add_tokens([AddedToken(name, normalized=False) for name in names])
        ids = text_tokenizer.convert_tokens_to_ids(names)
        if ids != list(range(ids[0], ids[0] + len(names))):
            raise MindRecError(
                f"the text tokenizer already has tokens such as {names[0]!r}; start from one that was never extended"
            )
        self.tokenizer, self.first_new = text_tokenizer, ids[0]
        self._start = [] if start is None else [start]
        self._lines = ["".join(names[token] for token in row) for row in tokenizer.tokens.tolist()]
        if titles is not None:
            # A title must not be able to spell a token.
            shown = (title.replace("<", "(").replace("\n", " ")[:MAX_TITLE] for title in titles)
            self._lines = [f"{line} {title}" for line, title in zip(self._lines, shown, strict=True)]

    def text(self, history: Sequence[int], template: int = 0) -> str:
        """One prompt, with a line an item."""
        return TEMPLATES[template].format(history="\n".join(self._lines[row] for row in history))

    def __call__(
        self, histories: Sequence[Sequence[int]], templates: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids, int64 (B, P), and which of them are no padding, bool (B, P)."""
        texts = [self.text(h, t) for h, t in zip(histories, templates or [0] * len(histories), strict=True)]
        rows = [self._start + row for row in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        sees = torch.zeros(ids.shape, dtype=torch.bool)
        for n, row in enumerate(rows):
            ids[n, ids.shape[1] - len(row) :] = torch.tensor(row)
            sees[n, ids.shape[1] - len(row) :] = True
        return ids, sees

    def save(self, folder: Path) -> None:
        """Write the text tokenizer into a folder."""
        self.tokenizer.save_pretrained(folder)


def load_text_tokenizer(folder: Path):
    """The text tokenizer of a folder, without running any code of it. Raises MindRecError where there is none."""
    from transformers import PreTrainedTokenizerFast

    try:
        return PreTrainedTokenizerFast.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise MindRecError(f"{folder}: no tokenizer.json that can be read ({error}); restore the folder") from error


def make_text_tokenizer(texts: Sequence[str], vocab_size: int):
    """A byte-level BPE learned from `texts` and the templates, with a mask token: for models that start from nothing.

    Byte-level: any text has tokens.
    """
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|mask|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*TEMPLATES, *texts], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="<|mask|>")
