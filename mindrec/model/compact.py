"""The compact denoiser: a Llama-style transformer that decodes on a laptop.

A causal *history encoder* reads one vector an item; a *block decoder* reads the encoder's states (causal) and the
target block, which attends to the history before it and to itself in both directions. No history position attends to
a block, so the history's keys and values are computed once, exactly.

Shape legend: B users, H history length, K beams a user, L levels, T tokens, N items, D width, R targets a sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import DynamicCache

from mindrec.errors import MindRecError
from mindrec.model.architecture import CompactConfig
from mindrec.model.attention import causal_mask
from mindrec.model.block_pass import Beside, Projected, masked_states, project, rotary_turn
from mindrec.model.code_reader import CodeReader, spread_over_codes
from mindrec.model.denoiser import HistoryCache
from mindrec.model.diffusion import MASKED
from mindrec.model.filtered_encoder import FilteredEncoder
from mindrec.model.item_item import ItemItem
from mindrec.model.item_softmax import codes_by_items
from mindrec.model.likeness import Likeness
from mindrec.model.llama_stack import PartialMLP, llama_stack
from mindrec.model.pair_votes import PairVotes
from mindrec.model.transitions import Transitions
from mindrec.tokens.levels import Levels
from mindrec.tokens.tokenizer import Tokenizer

VOTES = {"transitions": Transitions, "item_item": ItemItem}
"""Counted parts of item evidence, by the attribute that holds them."""
LAST = {"encoder": "last", "reader": "asked"}
"""The stacks whose last state asks something, and its name in the cache: of items, and of codes."""


class CompactDenoiser(nn.Module):
    """See mindrec.model.denoiser.Denoiser for the contract.

    Args:
        codes_NL: int (N, L), the codes of every item, kept as a buffer.
    """

    kind = "compact"
    config_type = CompactConfig
    cache_exact = True
    reads_empty = False

    def __init__(self, config: CompactConfig, codes_NL: torch.Tensor):
        super().__init__()
        if tuple(codes_NL.shape) != (config.n_items, len(config.level_sizes)):
            raise MindRecError(
                f"codes of shape {tuple(codes_NL.shape)}; ({config.n_items}, {len(config.level_sizes)}) needed"
            )
        self.config = config
        self.level_sizes, self.n_items, self.max_history = config.level_sizes, config.n_items, config.max_history
        self.orders = ("left_to_right",) if config.objective == "ar" else None
        D, L, T = config.hidden_size, len(config.level_sizes), sum(config.level_sizes)
        self.token_embedding = nn.Embedding(T, D)
        self.mask_embedding = nn.Parameter(torch.zeros(D))
        self.level_embedding = nn.Embedding(L, D)
        self.item_embedding = nn.Embedding(config.n_items, D)
        filtered, layers = config.dense_encoder == "filtered", config.encoder_layers
        self.encoder = FilteredEncoder(config) if filtered else llama_stack(config, layers, config.dropout)
        self.decoder = llama_stack(config, config.decoder_layers, config.block_dropout)
        self.decoder.layers[-1].mlp.__class__ = PartialMLP
        self.token_head = nn.Linear(D, D, bias=False)
        self.output_embedding = nn.Embedding(T, D)
        self.token_bias = nn.Parameter(torch.zeros(T))
        self.item_bias = nn.Parameter(torch.zeros(config.n_items))
        # softplus(0.54) = 1 and softplus(-0.43) = 0.5: start near the dense head, the block at half.
        self.evidence = nn.Parameter(torch.full((L,), 0.54))
        self.opinion = nn.Parameter(torch.full((L,), -0.43))
        # The filtered encoder drops what it needs to by itself.
        self.dropout = nn.Dropout(0.0 if filtered else config.dropout)
        self.block_dropout = nn.Dropout(config.block_dropout)
        for embedding in (self.token_embedding, self.output_embedding, self.level_embedding, self.item_embedding):
            nn.init.normal_(embedding.weight, std=D**-0.5 / 2)
        nn.init.normal_(self.mask_embedding, std=D**-0.5 / 2)
        self.levels = Levels(config.level_sizes)
        self.register_buffer("tokens_NL", self.levels.tokens(codes_NL), persistent=False)
        self.register_buffer("masked_L", T + torch.arange(L), persistent=False)  # rows of the first layer's table
        self._items_ND: torch.Tensor | None = None
        self._first_layer: torch.Tensor | None = None
        self.transitions: Transitions | None = None
        self.item_item: ItemItem | None = None
        for name, kind in VOTES.items():
            if getattr(config, name):
                setattr(self, name, kind(config.n_items, getattr(config, name), repeats=config.repeats))
        self.reader: CodeReader | None = None
        if config.token_encoder == "codes":
            nn.init.zeros_(self.token_head.weight)  # the block corrects a reader that is trained before it
            self.reader = CodeReader(llama_stack(config, layers, config.block_dropout), T, config.block_dropout)
        self.likeness = Likeness(T, config.text_width) if config.text_width else None
        self.register_load_state_dict_post_hook(lambda model, _: model.forget())

    def votes(self) -> PairVotes | None:
        """The counted pairs beside the dense head; None without any."""
        return self.transitions if self.transitions is not None else self.item_item

    def set_votes(self, votes: PairVotes | None) -> None:
        """Make counted pairs the part of item evidence beside the dense head from now on; None: the head alone."""
        for name, kind in VOTES.items():
            mine = isinstance(votes, kind)
            setattr(self, name, votes.to(self.tokens_NL.device) if mine else None)
            self.config = replace(self.config, **{name: len(votes.item_P) if mine else 0})

    def grown(self, codes_NL: torch.Tensor, lift: float = 0.0) -> "CompactDenoiser":
        """These weights over a longer catalog whose first items are this one's.

        A new item has no embedding of its own (zero): its tokens alone carry it. Its bias is the mean of all, and what
        `lift` asks for.
        """
        new = CompactDenoiser(replace(self.config, n_items=len(codes_NL)), codes_NL).to(self.tokens_NL.device)
        weights, more = dict(self.named_parameters()), len(codes_NL) - self.n_items
        bias = (self.item_bias.mean() + self.bias_for(lift)).expand(more)
        weights["item_embedding.weight"] = F.pad(self.item_embedding.weight, (0, 0, 0, more))
        weights["item_bias"] = torch.cat([self.item_bias, bias])
        new.load_state_dict({name: value.detach() for name, value in weights.items()}, strict=False)
        if self.votes() is not None:
            new.set_votes(self.votes().grown(len(codes_NL)))
        return new.train(self.training)

    def bias_for(self, lift: float) -> float:
        """The bias offset that raises an item's final logit by `lift`."""
        return lift if self.votes() is None else lift / max(float(self.votes().powers[0]), 1e-6)

    # -- in a checkpoint ---------------------------------------------------------------------------------------------

    @classmethod
    def from_folder(
        cls, folder: Path, config: CompactConfig, tokenizer: Tokenizer, titles: Sequence[str]
    ) -> "CompactDenoiser":
        """The denoiser of a checkpoint folder, before its trained weights are put in: all it needs are the codes."""
        return cls(config, torch.from_numpy(tokenizer.codes))

    def save_extras(self, folder: Path) -> None:
        """Write nothing: weights and tokenizer are all there is."""

    def damage(self) -> str | None:
        """Weights that no training makes, by name: counted pairs outside the catalog, or values that are no numbers."""
        damaged = (name for name in VOTES if getattr(self, name) is not None and not getattr(self, name).is_sound())
        return next((f"{name}.*" for name in damaged), None)

    # -- parts -------------------------------------------------------------------------------------------------------

    def item_vectors(self, keep_N: torch.Tensor | None = None) -> torch.Tensor:
        """The sum of an item's token embeddings and its own embedding, (N, D); the latter only where `keep_N`."""
        item_ND = self.item_embedding.weight if keep_N is None else self.item_embedding.weight * keep_N[:, None]
        return F.embedding(self.tokens_NL, self.token_embedding.weight).sum(1) + item_ND

    @torch.no_grad()
    def set_item_vectors(self, vectors_ND: torch.Tensor, weights_N: torch.Tensor | None = None) -> None:
        """Make `item_vectors()` these vectors, (N, D): tokens carry what they can, an item's own embedding the rest.

        See mindrec.model.code_reader.spread_over_codes.
        """
        vectors = vectors_ND.to(self.item_embedding.weight)
        means_TD, rest = spread_over_codes(vectors, self.tokens_NL, self.level_sizes, weights_N)
        self.token_embedding.weight.copy_(means_TD)
        self.item_embedding.weight.copy_(rest)
        self.output_embedding.weight.copy_(self.token_embedding.weight)
        self.forget()

    @torch.no_grad()
    def set_code_vectors(self, vectors_ND: torch.Tensor) -> None:
        """Make the code reader's items start as near to these vectors, (N, D), as sums over codes can be."""
        means_TD, _ = spread_over_codes(vectors_ND.to(self.tokens_NL.device), self.tokens_NL, self.level_sizes)
        self.reader.embedding.weight.copy_(means_TD)
        self.output_embedding.weight.copy_(means_TD)
        self.forget()

    def forget(self) -> None:
        """Forget all that was made of the weights, which have changed."""
        self._items_ND = self._first_layer = None

    def _frozen_item_vectors(self) -> torch.Tensor:
        if self._items_ND is None:
            self._items_ND = self.item_vectors().detach()
        return self._items_ND

    def _apply(self, function, recurse: bool = True):
        self.forget()
        return super()._apply(function, recurse)

    def train(self, mode: bool = True):
        """As torch has it; what was kept of frozen weights is forgotten."""
        self.forget()
        return super().train(mode)

    def evidence_weight(self) -> torch.Tensor:
        """alpha >= 0 of each position, (L,)."""
        return F.softplus(self.evidence)

    def token_weight(self) -> torch.Tensor:
        """beta >= 0 of each position, (L,)."""
        return F.softplus(self.opinion)

    def _block_input(self, filled: torch.Tensor) -> torch.Tensor:
        """Embed codes (..., L), -1 = masked, to (..., L, D). The twin sees the code before each position instead."""
        tokens = self.levels.tokens(filled.clamp(min=0))
        table = self.token_embedding if self.reader is None else self.reader.embedding
        embedded = torch.where((filled == MASKED)[..., None], self.mask_embedding, F.embedding(tokens, table.weight))
        if self.config.objective == "ar":
            start = self.mask_embedding.expand(*embedded.shape[:-2], 1, -1)
            embedded = torch.cat([start, embedded[..., :-1, :]], dim=-2)
        return embedded + self.level_embedding.weight

    def _first_projected(self, filled_BKL: torch.Tensor) -> Projected:
        """Projections of each position of blocks by the decoder's first layer, (B, K, L, D).

        It depends on the code there alone, so that it is looked up in a table; but the twin reads the code before.
        """
        if self.config.objective == "ar":
            return project(self.decoder.layers[0], self._block_input(filled_BKL))
        if self._first_layer is None:
            masked_L = torch.full((1, len(self.level_sizes)), MASKED, device=self.tokens_NL.device)
            table = self.token_embedding if self.reader is None else self.reader.embedding
            of_codes = table.weight + self.level_embedding.weight[self.levels.level_of_token(masked_L.device)]
            first = project(self.decoder.layers[0], torch.cat([of_codes, self._block_input(masked_L)[0]]))
            self._first_layer = first.joined()
        held = torch.where(filled_BKL == MASKED, self.masked_L, self.levels.tokens(filled_BKL))
        return Projected.looked_up(self._first_layer, held)

    def _head(self, hidden_L_D: torch.Tensor, last_D: torch.Tensor) -> torch.Tensor:
        """Logits (..., T) from block states (..., L, D): each level scores its own vocabulary.

        The last state (..., D) of the history that the block reads asks codes too; the block corrects it.
        """
        query_LD = (self.token_head(hidden_L_D) + last_D[..., None, :]).unbind(-2)
        weights = (part.split(self.level_sizes) for part in (self.output_embedding.weight, self.token_bias))
        return torch.cat([F.linear(*level) for level in zip(query_LD, *weights, strict=True)], dim=-1)

    def level_logits(self, hidden_D: torch.Tensor, last_D: torch.Tensor, level: int) -> torch.Tensor:
        """Logits (..., codes of the level) from the block states (..., D) of one level."""
        query_D = self.token_head(hidden_D) + last_D
        weight, bias = (part.split(self.level_sizes)[level] for part in (self.output_embedding.weight, self.token_bias))
        return query_D @ weight.T + bias

    @staticmethod
    def is_dense(name: str) -> bool:
        """Whether a parameter, by name, is the dense part's: encoder, item vectors and item bias."""
        return name.startswith(("encoder.", "token_embedding.", "item_embedding.", "item_bias"))

    # -- training ----------------------------------------------------------------------------------------------------

    def encode_states(
        self, rows_BH: torch.Tensor, keep_N: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (B, H, D) of right-padded histories, and the item vectors (N, D) they were made of."""
        items_ND = self.item_vectors(keep_N)
        embedded = self.dropout(F.embedding(rows_BH, items_ND))
        states = self.encoder(
            inputs_embeds=embedded, attention_mask=causal_mask(rows_BH.shape[1], embedded)
        ).last_hidden_state
        return self.dropout(states), items_ND

    def block_states(
        self,
        states_BHD: torch.Tensor,
        filled_BRL: torch.Tensor,
        after_BR: torch.Tensor,
        read_BRL: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run R target blocks beside each history, (B, R, L, D).

        Args:
            after_BR: how many items each block sees.
            read_BRL: the positions whose states will be read; the rest are left half done. All without.
        """
        H = states_BHD.shape[1]
        history = DynamicCache()
        self.decoder(inputs_embeds=states_BHD, attention_mask=causal_mask(H, states_BHD), cache=history, use_cache=True)
        sees_BRH = torch.arange(H, device=states_BHD.device) < after_BR[..., None]
        B, R, L = filled_BRL.shape
        every_LL = torch.ones(L, L, dtype=torch.bool, device=states_BHD.device)
        with self.decoder.layers[-1].mlp.only(read_BRL):
            hidden = self.decoder(
                inputs_embeds=self.block_dropout(self._block_input(filled_BRL)).view(B, R * L, -1),
                attention_mask=every_LL.tril()[None, None] if self.config.objective == "ar" else every_LL[None, None],
                position_ids=(after_BR[..., None] + torch.arange(L, device=every_LL.device)).view(B, R * L),
                history=[(layer.keys, layer.values) for layer in history.layers],
                sees_BRH=sees_BRH,
            ).last_hidden_state
        return self.block_dropout(hidden).view(B, R, L, -1)

    # -- decoding (the Denoiser contract) ----------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, histories: Sequence[Sequence[int]]) -> HistoryCache:
        """See Denoiser. Raises MindRecError: a history is empty."""
        histories = tuple(tuple(h[-self.max_history :]) for h in histories)
        if not all(histories):
            raise MindRecError("a history is empty; give at least one item")
        device = self.tokens_NL.device
        lengths = torch.tensor([len(h) for h in histories], device=device)
        rows = nn.utils.rnn.pad_sequence([torch.tensor(h) for h in histories], batch_first=True).to(device)
        causal, state = causal_mask(rows.shape[1], self.item_embedding.weight), {"lengths": lengths}

        def through(name: str, stack: nn.Module, vectors: torch.Tensor) -> torch.Tensor:
            cache = DynamicCache()
            states = stack(inputs_embeds=vectors, attention_mask=causal, cache=cache, use_cache=True).last_hidden_state
            state[name] = [(layer.keys, layer.values) for layer in cache.layers]
            if name in LAST:
                state[LAST[name]] = states[torch.arange(len(rows), device=device), lengths - 1]
            return states

        self._read(rows, through)
        return HistoryCache(histories, self._completed(state, histories))

    def _completed(self, state: dict, histories: Sequence[Sequence[int]]) -> dict:
        """With what no stack has to read: where blocks stand, and what the histories' texts say."""
        state["turn"] = rotary_turn(self.decoder, state["lengths"], len(self.level_sizes))
        if self.likeness is not None:
            state["texts"] = self.likeness.of_histories(histories, self.tokens_NL)
        return state

    def _read(self, rows_BH: torch.Tensor, through: Callable[[str, nn.Module, torch.Tensor], torch.Tensor]) -> None:
        """Send item rows through the stacks that read histories; `through` turns a stack's input into its states."""
        states = through("encoder", self.encoder, F.embedding(rows_BH, self._frozen_item_vectors()))
        if self.reader is not None:
            states = through("reader", self.reader.encoder, self.reader.embed(rows_BH, self.tokens_NL))
        through("decoder", self.decoder, states)

    @torch.inference_mode()
    def extend(self, cache: HistoryCache, row: int) -> HistoryCache:
        """Below the history limit the cache grows by one position; at the limit the window slides and is read anew."""
        (history,) = cache.histories
        if len(history) >= self.max_history:
            return self.encode([(*history, row)])
        position = torch.tensor([[len(history)]], device=self.tokens_NL.device)
        everything = torch.ones(1, 1, 1, len(history) + 1, dtype=torch.bool, device=self.tokens_NL.device)
        grown = {"lengths": cache.state["lengths"] + 1}

        def through(name: str, stack: nn.Module, vectors: torch.Tensor) -> torch.Tensor:
            past = DynamicCache(cache.state[name])
            states = stack(
                inputs_embeds=vectors, attention_mask=everything, position_ids=position, cache=past, use_cache=True
            ).last_hidden_state
            grown[name] = [(layer.keys, layer.values) for layer in past.layers]
            if name in LAST:
                grown[LAST[name]] = states[:, 0]
            return states

        self._read(torch.tensor([[row]], device=self.tokens_NL.device), through)
        longer = ((*history, row),)
        return HistoryCache(longer, self._completed(grown, longer))

    def select(self, cache: HistoryCache, users: torch.Tensor) -> HistoryCache:
        """The cache of some users, int64 (n,)."""
        if len(users) == len(cache.histories) and torch.equal(users.cpu(), torch.arange(len(users))):
            return cache
        state = {
            name: [(k[users], v[users]) for k, v in value] if isinstance(value, list) else value[users]
            for name, value in cache.state.items()
        }
        return HistoryCache(tuple(cache.histories[u] for u in users.tolist()), state)

    @torch.inference_mode()
    def token_logits(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, T) of every code at every position, see Denoiser."""
        scores_BKT = self.code_scores(cache, filled_BKL)
        if not self.config.item_softmax:
            return scores_BKT
        # As in training, a history's items have no probability, unless people come back to them.
        out_of_reach = () if self.config.repeats else cache.histories
        return codes_by_items(scores_BKT, filled_BKL, self.tokens_NL, self.levels, out_of_reach)

    @property
    def adds_up(self) -> bool:
        """Whether scores of codes add up to an item's, see Denoiser."""
        return self.config.item_softmax

    @torch.inference_mode()
    def code_scores(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """Scores of codes (B, K, T), not normalised."""
        past, causal = cache.state["decoder"], self.config.objective == "ar"
        padded = any(len(history) < past[0][0].shape[2] for history in cache.histories)
        beside = Beside(past, cache.state["lengths"], cache.state["turn"], padded, causal)
        hidden = masked_states(self.decoder, self._first_projected(filled_BKL), filled_BKL, beside)
        query_BD = cache.state["last" if self.reader is None else "asked"]
        scores_BKT = self._head(hidden, query_BD[:, None].expand(*hidden.shape[:2], -1)).float()
        return scores_BKT if self.likeness is None else scores_BKT + self.likeness.scores(cache.state["texts"])[:, None]

    @torch.inference_mode()
    def dense_logits(self, cache: HistoryCache) -> torch.Tensor:
        """Next-item logits (B, N) of the dense head alone."""
        return (cache.state["last"] @ self._frozen_item_vectors().T + self.item_bias).float()

    @torch.inference_mode()
    def item_logits(self, cache: HistoryCache) -> torch.Tensor:
        """Next-item logits (B, N) of dense head and votes, of which item evidence is made."""
        dense_BN = self.dense_logits(cache)
        votes = self.votes()
        return dense_BN if votes is None else votes(dense_BN, cache.histories)
