"""LLaDA as a denoiser: a bidirectional Llama that reads a text prompt and fills in the target block (arXiv 2502.09992).
Any other masked language model that was imported stands in its place (mindrec.text_backbone.backbone).

Two masks. Under "prefix" the prompt attends to itself in both directions and never to the block, so its keys and values
are computed once a history, exactly. Under "bidirectional", the mask that the published weights were trained with, the
prompt attends to the block too: the cache then holds the prompt as it saw the all-masked block, which is exact for the
first step and an approximation after it (as in Fast-dLLM, arXiv 2505.22618). `cache=False` reads prompt and block
again for every beam: the reference for both.

Shape legend: B users, K beams a user, P prompt length, L levels, T added tokens of all levels, D width, N items.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.errors import MindRecError
from mindrec.model.denoiser import HistoryCache
from mindrec.model.diffusion import MASKED
from mindrec.text_backbone.backbone import (
    Layers,
    about_base,
    add_lora,
    head_matrix,
    load_base,
    mean_rows,
    new_backbone,
)
from mindrec.text_backbone.prompts import Prompts, load_text_tokenizer
from mindrec.tokens.levels import Levels
from mindrec.tokens.tokenizer import Tokenizer

ATTENTIONS = ("prefix", "bidirectional")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TEXT_FOLDER = "text_tokenizer"


@dataclass(frozen=True)
class LladaConfig:
    """The configuration of a LLaDA denoiser.

    Attributes:
        mask_token_id: of the text vocabulary.
        start_token_id: what every prompt starts with, where the base is used to one.
        base: imported folder; its text embeddings stay frozen. None makes a model of `shape`, trained whole.
        base_fingerprint: digest of the base's weights, checked when it is loaded.
        shape: LlamaConfig sizes where there is no base.
        lora: rank, alpha and dropout of the adapters on a base; None trains the base's layers themselves.
        attention: "prefix" or "bidirectional"; see the module.
        cache: whether a prompt is read once a history; False reads it again for every beam.
        titles: whether prompts show titles beside tokens.
        dtype: of the stack's weights; adapters and added tokens are float32.
        quantize: 8 or 4 bits for the base, by bitsandbytes; None keeps `dtype`.
        objective: always "diffusion".
    """

    level_sizes: tuple[int, ...]
    n_items: int
    mask_token_id: int
    start_token_id: int | None = None
    base: str | None = None
    base_fingerprint: str | None = None
    shape: dict | None = None
    lora: dict | None = None
    attention: str = "prefix"
    cache: bool = True
    titles: bool = False
    max_history: int = 10
    dtype: str = "float32"
    quantize: int | None = None
    objective: str = "diffusion"

    def __post_init__(self):
        if (self.base is None) == (self.shape is None) or (self.base is None and self.lora is not None):
            raise MindRecError("a LLaDA denoiser has either a base, or a shape to make a new model of")
        for name, allowed in (("attention", ATTENTIONS), ("dtype", DTYPES), ("objective", ("diffusion",))):
            if getattr(self, name) not in allowed:
                raise MindRecError(f"{name} {getattr(self, name)!r} is not one of {', '.join(allowed)}")
        if self.lora is None and (self.quantize or (self.base and self.dtype != "float32")):
            raise MindRecError("a base is trained whole in float32 only; train LoRA on it, or take a float32 preset")
        if type(self.max_history) is not int or self.max_history < 1:
            raise MindRecError(f"max_history {self.max_history!r} is not a whole number from 1 up")
        object.__setattr__(self, "level_sizes", tuple(self.level_sizes))

    def to_dict(self) -> dict:
        """The fields as config.json holds them."""
        return asdict(self) | {"level_sizes": list(self.level_sizes)}


class LladaDenoiser(nn.Module):
    """See mindrec.model.denoiser.Denoiser for the contract. There is no dense head, hence no item evidence.

    Args:
        prompts: made with the text tokenizer that the base, or the new model, was made for.
    """

    kind = "llada"
    config_type = LladaConfig
    adds_up = False
    orders = None
    reads_empty = False

    def __init__(self, config: LladaConfig, tokenizer: Tokenizer, prompts: Prompts):
        super().__init__()
        if (tokenizer.level_sizes, tokenizer.n_items) != (config.level_sizes, config.n_items):
            raise MindRecError(
                f"tokenizer of levels {tokenizer.level_sizes} and {tokenizer.n_items} items; "
                f"{config.level_sizes} and {config.n_items} needed"
            )
        self.config, self.prompts = config, prompts
        self.level_sizes, self.n_items, self.max_history = config.level_sizes, config.n_items, config.max_history
        if config.base is None:
            self.backbone = new_backbone(config.shape, DTYPES[config.dtype])
        else:
            _check_base(config)
            self.backbone = load_base(Path(config.base), DTYPES[config.dtype], config.quantize)
            self.backbone.words.requires_grad_(False)
            if config.lora is not None:
                add_lora(self.backbone, **config.lora)
        n_tokens, width = sum(config.level_sizes), self.backbone.words.embedding_dim
        self.token_embedding = nn.Parameter(torch.randn(n_tokens, width) * 0.02)
        self.token_head = nn.Parameter(torch.randn(n_tokens, width) * 0.02)
        self.levels = Levels(config.level_sizes)

    @property
    def cache_exact(self) -> bool:
        """Whether decoding with the cache gives the logits of reading everything again."""
        return self.config.attention == "prefix" or not self.config.cache

    @torch.no_grad()
    def start_tokens(self, tokenizer: Tokenizer) -> None:
        """Give each added token the mean of its label's text pieces: embedding, and head row where there is a base."""
        labels = [label for level in tokenizer.levels for label in level.labels]
        pieces = self.prompts.tokenizer(labels, add_special_tokens=False)["input_ids"]
        pieces = [[i for i in ids if i < self.prompts.first_new] for ids in pieces]
        self.token_embedding.copy_(mean_rows(self.backbone.words.weight, pieces))
        if self.config.base is not None:
            self.token_head.copy_(mean_rows(head_matrix(Path(self.config.base)), pieces))

    # -- parts -------------------------------------------------------------------------------------------------------

    def _embed_prompt(self, ids_BP: torch.Tensor) -> torch.Tensor:
        """(B, P, D): rows of the text vocabulary, and of the added tokens from `first_new` on."""
        added = ids_BP >= self.prompts.first_new
        text = self.backbone.words(ids_BP.masked_fill(added, 0))
        rows = F.embedding((ids_BP - self.prompts.first_new).clamp(min=0), self.token_embedding)
        return torch.where(added[..., None], rows.to(text.dtype), text)

    def _embed_block(self, filled: torch.Tensor) -> torch.Tensor:
        """Codes (..., L), -1 = masked, to (..., L, D)."""
        mask_D = self.backbone.words.weight[self.config.mask_token_id]
        rows = F.embedding(self.levels.tokens(filled.clamp(min=0)), self.token_embedding).to(mask_D.dtype)
        return torch.where((filled == MASKED)[..., None], mask_D, rows)

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., T), float32, from block states (..., L, D): each level scores its own added tokens."""
        parts = [
            hidden[..., level, :].to(rows.dtype) @ rows.T
            for level, rows in enumerate(self.token_head.split(self.level_sizes))
        ]
        return torch.cat(parts, dim=-1).float()

    def forward(self, ids_BP: torch.Tensor, sees_BP: torch.Tensor, filled_BL: torch.Tensor) -> torch.Tensor:
        """Logits (B, T) of one block after each prompt, everything in one pass: training, and the reference."""
        self.backbone.check_room(ids_BP.shape[1] + filled_BL.shape[1])
        return self._head(self._read(ids_BP, sees_BP, filled_BL))

    def _read(self, ids_BP, sees_BP, filled_BL, keep=None) -> torch.Tensor:
        """Block states (B, L, D) of a pass over prompt and block; `keep` collects keys and values of both."""
        P, L = ids_BP.shape[1], filled_BL.shape[1]
        states = self.backbone.read(
            torch.cat([self._embed_prompt(ids_BP), self._embed_block(filled_BL)], 1),
            F.pad(sees_BP, (0, L), value=True),
            hidden=L if self.config.attention == "prefix" else 0,
            keep=keep,
        )
        return states[:, P:]

    # -- decoding (the Denoiser contract) ----------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, histories: Sequence[Sequence[int]]) -> HistoryCache:
        """Read the prompts of the histories, keeping keys and values where the cache is on.

        Raises MindRecError for an empty history, and for a prompt that is longer than the backbone reads.
        """
        histories = tuple(tuple(h[-self.max_history :]) for h in histories)
        if not all(histories):
            raise MindRecError("a history is empty; give at least one item")
        ids, sees = (t.to(self.token_embedding.device) for t in self.prompts(histories))
        self.backbone.check_room(ids.shape[1] + len(self.level_sizes))
        state = {"ids": ids, "sees": sees}
        if self.config.cache:
            state["layers"] = self._prompt_layers(ids, sees)
        return HistoryCache(histories, state)

    def _prompt_layers(self, ids, sees) -> Layers:
        """Keys and values (B, heads, P, D / heads) of every layer."""
        kept, P = {}, ids.shape[1]
        if self.config.attention == "prefix":
            self.backbone.read(self._embed_prompt(ids), sees, keep=kept)
        else:
            self._read(ids, sees, ids.new_full((len(ids), len(self.level_sizes)), MASKED), kept)
        return {layer: (key[:, :, :P], value[:, :, :P]) for layer, (key, value) in kept.items()}

    @torch.inference_mode()
    def extend(self, cache: HistoryCache, row: int) -> HistoryCache:
        """A prompt is bidirectional and its words follow the history, so one more item means reading it again."""
        return self.encode([(*cache.histories[0], row)])

    def select(self, cache: HistoryCache, users: torch.Tensor) -> HistoryCache:
        """The cache of some users, int64 (n,)."""
        if len(users) == len(cache.histories) and torch.equal(users.cpu(), torch.arange(len(users))):
            return cache
        state = {name: value[users] for name, value in cache.state.items() if name != "layers"}
        if self.config.cache:
            state["layers"] = {n: (k[users], v[users]) for n, (k, v) in cache.state["layers"].items()}
        return HistoryCache(tuple(cache.histories[u] for u in users.tolist()), state)

    @torch.inference_mode()
    def token_logits(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """Logits of every level's codes for every partial answer, (B, K, T)."""
        ids, sees = cache.state["ids"], cache.state["sees"]
        B, K, L = filled_BKL.shape
        if not self.config.cache:
            copies = (t.repeat_interleave(K, 0) for t in (ids, sees))
            return self(*copies, filled_BKL.reshape(B * K, L)).view(B, K, -1)
        return self._head(self.backbone.read_blocks(self._embed_block(filled_BKL), cache.state["layers"], sees))

    def dense_logits(self, cache: HistoryCache) -> None:
        """None: there is no dense head."""
        return None

    def item_logits(self, cache: HistoryCache) -> None:
        """None: there is no item evidence."""
        return None

    def evidence_weight(self) -> None:
        """None: there is no item evidence to weigh."""
        return None

    def token_weight(self) -> None:
        """None: there is no item evidence to weigh against."""
        return None

    # -- in a checkpoint ---------------------------------------------------------------------------------------------

    def save_extras(self, folder: Path) -> None:
        """Write the text tokenizer into a checkpoint folder."""
        self.prompts.save(folder / TEXT_FOLDER)

    @classmethod
    def from_folder(
        cls, folder: Path, config: LladaConfig, tokenizer: Tokenizer, titles: Sequence[str]
    ) -> "LladaDenoiser":
        """The denoiser of a checkpoint folder, before its trained weights are put in."""
        text = load_text_tokenizer(folder / TEXT_FOLDER)
        return cls(
            config, tokenizer, Prompts(text, tokenizer, titles if config.titles else None, config.start_token_id)
        )

    def damage(self) -> None:
        """None: any finite weights could have been trained."""
        return None


def _check_base(config: LladaConfig) -> None:
    base = about_base(Path(config.base))["fingerprint"]
    if config.base_fingerprint != base:
        raise MindRecError(
            f"base {config.base} has fingerprint {base!r}, config.json was written for {config.base_fingerprint!r}; "
            "give the base that it was trained on"
        )
