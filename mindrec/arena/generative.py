"""Generative retrieval on the arena's encoder: an item is written token by token, its legal tokens by a beam search.

TIGER, arXiv 2305.05065 (section 3.2): semantic IDs from left to right, each conditioned on the history and on the
tokens before it. LIGER, ETEGRec, LTRGR and OneRec build on it. It differs in the backbone: the shared causal encoder
makes one state a prefix, from which a GRU writes the tokens, so that every prefix is a sample of one pass; in the
paper a T5 decoder attends to all states. Tokens are categories and semantic IDs, as MindRec has them.

Shape legend: B sequences, W window length, H history length, S samples, N items, D width, L levels, K beams.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mindrec.arena.encoder import WIDTH, AttentionEncoder, last_states
from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import History, Task, left_out, pad, pulls
from mindrec.training.auto_preset import choose_preset
from mindrec.training.starting import make_tokenizer

BEAMS = 70
"""The 50 answers of a contest and the 20 history items that may be ruled out among them."""


class Prefixes:
    """The legal beginnings of items: for each level a table from (beginning, code) to the longer beginning, or -1.

    Attributes:
        tables: one int64 (beginnings of the level before, codes of the level) a level.
        item: row of the item that each whole beginning names, int64.
    """

    def __init__(self, codes_NL: np.ndarray, sizes: Sequence[int]):
        before_N, self.tables = np.zeros(len(codes_NL), dtype=np.int64), []
        for level, size in enumerate(sizes):
            table = np.full((before_N.max() + 1, size), -1, dtype=np.int64)
            pairs, after_N = np.unique(before_N * size + codes_NL[:, level], return_inverse=True)
            table.reshape(-1)[pairs] = np.arange(len(pairs))
            self.tables.append(torch.from_numpy(table))
            before_N = after_N.reshape(-1)
        self.item = torch.from_numpy(np.argsort(before_N, kind="stable"))


class TokenWriter(nn.Module):
    """log p(codes | state): a GRU from the history's state over the codes so far, one softmax a level."""

    def __init__(self, sizes: Sequence[int]):
        super().__init__()
        self.codes = nn.ModuleList(nn.Embedding(size, WIDTH) for size in sizes)
        for table in self.codes:
            nn.init.normal_(table.weight, std=0.1)
        self.start = nn.Parameter(torch.zeros(WIDTH))
        self.cell = nn.GRUCell(WIDTH, WIDTH)

    def vectors(self, codes_NL: torch.Tensor) -> torch.Tensor:
        """Items as sums of their codes' embeddings, (N, D)."""
        return sum(table(codes_NL[:, level]) for level, table in enumerate(self.codes))

    def step(self, states_SD: torch.Tensor, level: int, before_S: torch.Tensor | None) -> torch.Tensor:
        """States after the code before `level` (None at the first level) was read, (S, D)."""
        read_SD = self.start.expand_as(states_SD) if before_S is None else self.codes[level - 1](before_S)
        return self.cell(read_SD, states_SD)

    def log_p(self, states_SD: torch.Tensor, level: int) -> torch.Tensor:
        """Log-probabilities of a level's codes, (S, codes)."""
        return F.log_softmax(states_SD @ self.codes[level].weight.T, -1)

    def forward(self, states_SD: torch.Tensor, codes_SL: torch.Tensor) -> torch.Tensor:
        """Log-probability of each code of some items, given the codes before it, (S, L)."""
        out, before_S = [], None
        for level in range(len(self.codes)):
            states_SD = self.step(states_SD, level, before_S)
            before_S = codes_SL[:, level]
            out.append(self.log_p(states_SD, level).gather(1, before_S[:, None])[:, 0])
        return torch.stack(out, 1)

    @torch.no_grad()
    def search(self, states_BD: torch.Tensor, prefixes: Prefixes, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Beam search over legal codes: item rows (B, K), best first and -1 where there are fewer, and log p (B, K)."""
        B = len(states_BD)
        states_BKD, log_BK = states_BD[:, None], torch.zeros(B, 1)
        at_BK, before_BK = torch.zeros(B, 1, dtype=torch.long), None
        for level, table in enumerate(prefixes.tables):
            S = log_BK.numel()
            before_S = None if before_BK is None else before_BK.reshape(S)
            states_SD = self.step(states_BKD.reshape(S, -1), level, before_S)
            longer_SC = table[at_BK.reshape(S).clamp(min=0)]
            log_SC = (log_BK.reshape(S, 1) + self.log_p(states_SD, level)).masked_fill(longer_SC < 0, -torch.inf)
            codes = log_SC.shape[1]
            log_BK, best_BK = log_SC.reshape(B, -1).topk(min(width, log_SC.numel() // B))
            before_BK, parent_BK = best_BK % codes, best_BK // codes
            at_BK = longer_SC.reshape(B, -1).gather(1, best_BK)
            states_BKD = states_SD.reshape(B, -1, states_SD.shape[1])
            states_BKD = states_BKD.gather(1, parent_BK[..., None].expand(-1, -1, states_SD.shape[1]))
        return prefixes.item[at_BK.clamp(min=0)].masked_fill(log_BK == -torch.inf, -1), log_BK


class Generative(NeuralMethod):
    """Items by the log-probability of their tokens, the best of a beam search."""

    title = "TIGER on the shared encoder"
    paper = "arXiv 2305.05065, a GRU writes the tokens"
    published = "Beauty: Hit@10 .0648, NDCG@10 .0384"

    def __init__(self, task: Task):
        super().__init__(task)
        codes_NL, sizes = self.first_codes()
        self.register_buffer("codes_NL", torch.from_numpy(np.asarray(codes_NL)).long())
        self.prefixes = Prefixes(self.codes_NL.numpy(), sizes)
        self.writer, self.encoder = TokenWriter(sizes), AttentionEncoder(task.max_history)
        self.calls = float(len(sizes))

    def first_codes(self) -> tuple[np.ndarray, Sequence[int]]:
        """Codes of all items (N, L), no two alike, and the number of codes a level."""
        tokenizer = make_tokenizer(self.task.data, choose_preset(self.task.data).preset, self.task.seed)
        return tokenizer.codes, tokenizer.level_sizes

    def inputs(self) -> torch.Tensor:
        """The items as the encoder reads them, (N, D)."""
        return self.writer.vectors(self.codes_NL)

    def states(self, rows_BH: torch.Tensor) -> torch.Tensor:
        """One state a history position, (B, H, D), of right-padded rows."""
        return self.encoder(F.embedding(rows_BH.clamp(min=0), self.inputs()))

    def queries(self, histories: Sequence[History]) -> torch.Tensor:
        """The state behind each history, (B, D)."""
        rows_BH, last_B = pad(histories, self.task.max_history)
        return last_states(self.states(rows_BH), last_B)

    def log_p(self, histories: Sequence[History], rows_B: torch.Tensor) -> torch.Tensor:
        """Log-probability of one item behind each history, (B,)."""
        return self.writer(self.queries(histories), self.codes_NL[rows_B]).sum(1)

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean cross-entropy of a token in nats, at every position and level (scalar)."""
        real_BH = windows_BW[:, 1:] >= 0
        states_SD = self.states(windows_BW[:, :-1])[real_BH]
        return -self.writer(states_SD, self.codes_NL[windows_BW[:, 1:][real_BH]]).mean()

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Log-probabilities of the items that the beams hold, -inf of all others, (B, N)."""
        rows_BK, log_BK = self.writer.search(self.queries(histories), self.prefixes, BEAMS)
        scores_BN = torch.full((len(histories), self.task.n_items + 1), -torch.inf)
        return scores_BN.scatter_(1, rows_BK % scores_BN.shape[1], log_BK)[:, :-1]

    @torch.no_grad()
    def explain(self, history: History, row: int) -> dict:
        """`levels`: the log-probability of each of the item's tokens; `pulls`: how much their sum falls."""
        variants = left_out(history)
        levels_BL = self.writer(self.queries(variants), self.codes_NL[row].expand(len(variants), -1))
        return {"pulls": pulls(levels_BL.sum(1).tolist(), len(history)), "levels": levels_BL[0].tolist()}
