"""ETEGRec: tokenizer and recommender learn in turns, each drawn towards the other.

"Generative recommender with end-to-end learnable item tokenization", arXiv 2409.05546 (section 3):

- tokenizer: a residual quantiser of item vectors, three codebooks and a last level for items that share all codes;
  loss: reconstruction + commitment;
- recommender: mindrec.arena.generative; loss: cross-entropy of the tokens;
- SIA, sequence and item aligned: symmetric KL divergence, a level, between the code distributions of the item's vector
  and of a vector that an adapter makes of the history's state; weight .0001;
- PSA, preference and semantics aligned: two-way InfoNCE, cosine over .07, between the writer's first state and the
  reconstructed item; weight .0003;
- the tokenizer learns at a fiftieth of the recommender's rate;
- a cycle of two epochs: in the first the tokenizer learns, in the second the recommender, whose tokens are made anew;
  alignments join after a start without them, and at the end the tokenizer stays as it is.

It differs in the item vectors (texts and co-occurrence, which the project has, in place of a trained SASRec's), in the
backbone, in codebooks of the size that the data calls for, and in shorter phases: 4 epochs without alignments (10) and
turns for 20 epochs.

Shape legend: B sequences, W window length, S samples, N items, D width, V width of an item vector, L levels, C codes.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import nn

from mindrec.arena.encoder import WIDTH
from mindrec.arena.generative import Generative, Prefixes
from mindrec.arena.method import Budget, Report, Task
from mindrec.tokens.semantic_id import item_vectors
from mindrec.training.auto_preset import choose_preset

LEVELS, EXTRA = 3, 64
"""Codebooks, and codes of the level that tells items apart which share all others."""
COMMITMENT = 0.25
SEQUENCE_SHARE, PREFERENCE_SHARE, TEMPERATURE = 1e-4, 3e-4, 0.07
CYCLE, WITHOUT_ALIGNMENT, TURNS = 2, 4, 20
"""Epochs: of a cycle, before alignments join, and after which the tokenizer stays as it is."""
SLOWER = 1 / 50
"""The tokenizer's learning rate over the recommender's (.0001 and .005 in the paper)."""
PRETRAINING, PRETRAINED = 1000, 1024
"""Steps of the tokenizer before anything else is trained, and items of a step."""


class Quantiser(nn.Module):
    """Residual quantisation between a small encoder and a small decoder (RQ-VAE)."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(width, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.decode = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, width))
        self.books = nn.Parameter(torch.randn(LEVELS, size, WIDTH) * 0.1)

    def forward(self, hidden_SD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Codes (S, L), log-probabilities of all codes (S, L, C) and the sums of the chosen vectors (S, D)."""
        rest_SD, codes, log_p = hidden_SD, [], []
        for book_CD in self.books:
            distance_SC = rest_SD.square().sum(1, keepdim=True) - 2 * rest_SD @ book_CD.T + book_CD.square().sum(1)
            codes.append(distance_SC.argmin(1))
            log_p.append(F.log_softmax(-distance_SC, -1))
            rest_SD = rest_SD - book_CD[codes[-1]]
        return torch.stack(codes, 1), torch.stack(log_p, 1), hidden_SD - rest_SD

    def loss(self, vectors_SV: torch.Tensor) -> torch.Tensor:
        """Reconstruction (scalar), with the gradient passed straight through the choice of codes, and commitment."""
        hidden_SD = self.encode(vectors_SV)
        chosen_SD = self(hidden_SD)[2]
        drawn_near = F.mse_loss(chosen_SD, hidden_SD.detach()) + COMMITMENT * F.mse_loss(hidden_SD, chosen_SD.detach())
        passed_SD = hidden_SD + (chosen_SD - hidden_SD).detach()
        return F.mse_loss(self.decode(passed_SD), vectors_SV) + drawn_near

    def pretrain(self, vectors_NV: torch.Tensor, seed: int) -> None:
        """Start codebooks from k-means of the residuals, then train on items drawn at random."""
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        with torch.no_grad():
            rest_ND = self.encode(vectors_NV)
            for book_CD in self.books:
                size = min(len(book_CD), len(np.unique(rest_ND.numpy(), axis=0)))
                clusters = KMeans(size, n_init=1, random_state=seed).fit(rest_ND.numpy())
                book_CD[:size] = torch.from_numpy(clusters.cluster_centers_)
                rest_ND = rest_ND - book_CD[torch.from_numpy(clusters.labels_).long()]
        generator = torch.Generator().manual_seed(seed)
        for _ in range(PRETRAINING):
            optimizer.zero_grad()
            self.loss(vectors_NV[torch.randperm(len(vectors_NV), generator=generator)[:PRETRAINED]]).backward()
            optimizer.step()


def with_last_code(codes_NL: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Codes with one level more, (N, L + 1), no two alike: the item's number among those that share all its codes.

    Where more than EXTRA share them, the rest take another last code at random.
    """
    codes_NL = codes_NL.copy()
    while True:
        group_N = np.unique(codes_NL, axis=0, return_inverse=True)[1].reshape(-1)
        order_N = np.argsort(group_N, kind="stable")
        number_N = np.empty(len(codes_NL), dtype=np.int64)
        number_N[order_N] = np.arange(len(codes_NL)) - np.searchsorted(group_N[order_N], group_N[order_N])
        over_N = number_N >= EXTRA
        if not over_N.any():
            return np.concatenate([codes_NL, number_N[:, None]], 1)
        codes_NL[over_N, -1] = rng.integers(size, size=int(over_N.sum()))


class ETEGRec(Generative):
    """Score of an item: the log-probability of the tokens that it has learned."""

    title = "ETEGRec"
    paper = "arXiv 2409.05546, on the shared encoder"
    published = ""

    def __init__(self, task: Task):
        super().__init__(task)
        self.to_item = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, self.vectors_NV.shape[1]))
        self.of_item = nn.Linear(self.vectors_NV.shape[1], WIDTH)
        self.epoch, self.changed = 0, []

    def first_codes(self) -> tuple[np.ndarray, Sequence[int]]:
        """Codes (N, LEVELS + 1) of the quantiser trained on all items by itself, and the size of each level."""
        texts = [item.text for item in self.task.data.catalog.items]
        known_NV = item_vectors(texts, self.task.sequences, self.task.seed)
        scaled_NV = known_NV / max(float(known_NV.std()), 1e-6)
        self.register_buffer("vectors_NV", torch.from_numpy(scaled_NV.astype(np.float32)))
        self.code_size = choose_preset(self.task.data).preset.codebook_size
        self.quantiser = Quantiser(known_NV.shape[1], self.code_size)
        self.quantiser.pretrain(self.vectors_NV, self.task.seed)
        return self.made_codes(), [self.code_size] * LEVELS + [EXTRA]

    @torch.no_grad()
    def made_codes(self) -> np.ndarray:
        """Codes of all items by the quantiser as it is, (N, L + 1)."""
        codes_NL = self.quantiser(self.quantiser.encode(self.vectors_NV))[0].numpy()
        return with_last_code(codes_NL, self.code_size, np.random.default_rng(self.task.seed))

    @property
    def tokenizer_learns(self) -> bool:
        """Whether it is the tokenizer's turn."""
        return self.epoch < TURNS and self.epoch % CYCLE == 0

    def groups(self, learning_rate: float) -> list[dict]:
        """The tokenizer learns at a fiftieth of the recommender's rate."""
        slow = list(self.quantiser.parameters())
        fast = [p for name, p in self.named_parameters() if not name.startswith("quantiser.")]
        return [{"params": fast, "lr": learning_rate}, {"params": slow, "lr": SLOWER * learning_rate}]

    def begin_epoch(self, epoch: int) -> None:
        """Take turns: freeze the other part, and after the tokenizer's turn make all tokens anew."""
        if self.epoch != epoch and self.tokenizer_learns:
            codes_NL = torch.from_numpy(self.made_codes()).long()
            self.changed.append(int((codes_NL != self.codes_NL).any(1).sum()))
            self.codes_NL.copy_(codes_NL)
            self.prefixes = Prefixes(codes_NL.numpy(), [len(table.weight) for table in self.writer.codes])
        self.epoch = epoch
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("quantiser.") == self.tokenizer_learns)

    def fit(self, budget: Budget, report: Report) -> None:
        """Train in turns; tokens and weights of the best epoch stay together."""
        super().fit(budget, report)
        self.requires_grad_(True)
        self.prefixes = Prefixes(self.codes_NL.numpy(), [len(table.weight) for table in self.writer.codes])

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The loss (scalar) of the part whose turn it is, with the alignments once they have joined."""
        real_BH = windows_BW[:, 1:] >= 0
        states_SD, targets_S = self.states(windows_BW[:, :-1])[real_BH], windows_BW[:, 1:][real_BH]
        if self.tokenizer_learns:
            loss = self.quantiser.loss(self.vectors_NV[targets_S.unique()])
        else:
            loss = -self.writer(states_SD, self.codes_NL[targets_S]).mean()
        if self.epoch < WITHOUT_ALIGNMENT:
            return loss
        hidden_SD = self.quantiser.encode(self.vectors_NV[targets_S])
        _, item_SLC, chosen_SD = self.quantiser(hidden_SD)
        sequence_SLC = self.quantiser(self.quantiser.encode(self.to_item(states_SD)))[1]
        made_SD = self.of_item(self.quantiser.decode(hidden_SD + (chosen_SD - hidden_SD).detach()))
        first_SD = self.writer.step(states_SD, 0, None)
        return (
            loss
            + SEQUENCE_SHARE * symmetric_divergence(item_SLC, sequence_SLC)
            + PREFERENCE_SHARE * matched(first_SD, made_SD, targets_S)
        )


def symmetric_divergence(one_SLC: torch.Tensor, other_SLC: torch.Tensor) -> torch.Tensor:
    """KL(one, other) + KL(other, one) of log-probabilities, summed over levels, the mean over samples: a scalar."""
    return ((one_SLC.exp() - other_SLC.exp()) * (one_SLC - other_SLC)).sum((1, 2)).mean()


def matched(one_SD: torch.Tensor, other_SD: torch.Tensor, items_S: torch.Tensor) -> torch.Tensor:
    """Two-way InfoNCE of rows that belong together, a scalar; samples of the same item are no negatives."""
    alike_SS = F.normalize(one_SD, dim=-1) @ F.normalize(other_SD, dim=-1).T / TEMPERATURE
    same_SS = (items_S[:, None] == items_S) & ~torch.eye(len(items_S), dtype=torch.bool)
    alike_SS = alike_SS.masked_fill(same_SS, -torch.inf)
    pair_S = torch.arange(len(items_S))
    return F.cross_entropy(alike_SS, pair_S) + F.cross_entropy(alike_SS.T, pair_S)
