"""CaDiRec: a diffusion model writes plausible items in place of masked ones, and both fillings must be read alike.

"Context-aware diffusion-based contrastive learning for sequential recommendation", arXiv 2405.09369:

- 10 to 20 % of a sequence's positions are masked; a transformer that looks both ways reads the noisy vectors there and
  the items elsewhere, and predicts the clean vectors in one pass (x_0 prediction);
- continuous diffusion x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise with the square-root schedule
  a_t = 1 - sqrt(t / T + .0001), T = 1,000, t uniform (the schedule of Diffusion-LM, arXiv 2205.14217);
- two views of a sequence: masked positions are filled from noise, with one of the ten nearest items at random;
- loss: next item + .1 InfoNCE of the two views' last states (dot product, 2 (B - 1) negatives) + .2 negative
  log-likelihood of the masked items.

It differs in the first loss, a softmax over all items as for the other methods of the arena (the paper has one sampled
negative); in InfoNCE's temperature, the root of the width where the paper has 1, since the shared encoder's states are
long; and in the encoders, the shared one with width 64 and dropout .3.

Shape legend: B sequences, W window length, H history length, N items, D width, M masked positions.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.arena.encoder import WIDTH, AttentionEncoder, item_table, last_states
from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import History, Task, pad

STEPS = 1000
MASKED = (0.1, 0.2)
"""Least and largest share of a sequence's positions that are masked."""
NEAREST = 10
"""Items of which one fills a masked position."""
CONTRAST_SHARE, FILLING_SHARE = 0.1, 0.2


def signal(t_B: torch.Tensor) -> torch.Tensor:
    """Share a_t (B,) of the clean vector's variance left at time t in 0..STEPS: the square-root schedule."""
    return (1 - torch.sqrt(t_B / STEPS + 1e-4)).clamp(min=0)


def draw_masked(lengths_B: torch.Tensor, width: int, generator: torch.Generator) -> torch.Tensor:
    """Masked positions of right-padded rows, bool (B, W): a random share within MASKED, one at least."""
    low, high = MASKED
    share_B = low + (high - low) * torch.rand(len(lengths_B), generator=generator)
    count_B = (share_B * lengths_B).round().clamp(min=1)
    dice_BW = torch.rand(len(lengths_B), width, generator=generator)
    dice_BW = dice_BW.masked_fill(torch.arange(width) >= lengths_B[:, None], 2.0)
    return dice_BW.argsort(1).argsort(1) < count_B[:, None]


class CaDiRec(NeuralMethod):
    """Score of an item: its vector times the state of the last history item; the diffusion model only teaches."""

    title = "CaDiRec"
    paper = "arXiv 2405.09369, softmax over all items"

    def __init__(self, task: Task):
        super().__init__(task)
        self.items, self.encoder = item_table(task.n_items), AttentionEncoder(task.max_history)
        self.both_ways = AttentionEncoder(task.max_history + 1, causal=False)
        self.time = nn.Sequential(nn.Linear(1, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))

    def vectors(self) -> torch.Tensor:
        """Item vectors of mean square 1, (N, D): noise and data are of one size."""
        return F.layer_norm(self.items.weight, (WIDTH,))

    def clean(self, rows_BW: torch.Tensor, masked_BW: torch.Tensor, noisy_BWD: torch.Tensor, t_B: torch.Tensor):
        """Predicted clean vectors of the masked positions, (M, D), from noisy ones there and the items elsewhere."""
        items_BWD = F.embedding(rows_BW.clamp(min=0), self.vectors())
        time_B1D = self.time(t_B[:, None] / STEPS)[:, None]
        read_BWD = torch.where(masked_BW[..., None], noisy_BWD + time_B1D, items_BWD)
        return self.both_ways(read_BWD, rows_BW < 0)[masked_BW]

    def filling_loss(self, rows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Negative log-likelihood (scalar, nats) of masked items by the vector predicted at a random time."""
        masked_BW = draw_masked((rows_BW >= 0).sum(1), rows_BW.shape[1], generator)
        t_B = torch.randint(STEPS + 1, (len(rows_BW),), generator=generator).float()
        vectors_ND = self.vectors()
        left_B11 = signal(t_B)[:, None, None]
        noise_BWD = torch.randn(*rows_BW.shape, WIDTH, generator=generator)
        clean_BWD = F.embedding(rows_BW.clamp(min=0), vectors_ND)
        noisy_BWD = left_B11.sqrt() * clean_BWD + (1 - left_B11).sqrt() * noise_BWD
        cleaned_MD = self.clean(rows_BW, masked_BW, noisy_BWD, t_B)
        return F.cross_entropy(cleaned_MD @ vectors_ND.T / WIDTH**0.5, rows_BW[masked_BW])

    @torch.no_grad()
    def filled(self, rows_BW: torch.Tensor, masked_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The ten items nearest to the vector that is predicted from noise alone, best first, (M, 10)."""
        noise_BWD = torch.randn(*rows_BW.shape, WIDTH, generator=generator)
        cleaned_MD = self.clean(rows_BW, masked_BW, noise_BWD, torch.full((len(rows_BW),), float(STEPS)))
        return (cleaned_MD @ self.vectors().T).topk(min(NEAREST, self.task.n_items)).indices

    def view(self, rows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The last states of the sequences with some items replaced by what the diffusion model puts there, (B, D)."""
        masked_BW = draw_masked((rows_BW >= 0).sum(1), rows_BW.shape[1], generator)
        near_MK = self.filled(rows_BW, masked_BW, generator)
        pick_M1 = torch.randint(near_MK.shape[1], (len(near_MK), 1), generator=generator)
        rows_BW = rows_BW.masked_scatter(masked_BW, near_MK.gather(1, pick_M1))
        return last_states(self.encoder(self.items(rows_BW.clamp(min=0))), (rows_BW >= 0).sum(1) - 1)

    def contrast(self, rows_BH: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """InfoNCE (scalar) of two views: each must find the other among the 2 (B - 1) views of other sequences."""
        views_2BD = torch.cat([self.view(rows_BH, generator), self.view(rows_BH, generator)])
        alike = (views_2BD @ views_2BD.T / WIDTH**0.5).masked_fill(
            torch.eye(len(views_2BD), dtype=torch.bool), -torch.inf
        )
        return F.cross_entropy(alike, torch.arange(len(views_2BD)).roll(len(rows_BH)))

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The losses of next item, views and filling (scalar)."""
        rows_BH, targets_BH = windows_BW[:, :-1], windows_BW[:, 1:]
        real_BH = targets_BH >= 0
        states_BHD = self.encoder(self.items(rows_BH.clamp(min=0)))
        following = F.cross_entropy(states_BHD[real_BH] @ self.items.weight.T, targets_BH[real_BH])
        filling = self.filling_loss(windows_BW, generator)
        return following + CONTRAST_SHARE * self.contrast(rows_BH, generator) + FILLING_SHARE * filling

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Logits of all items, (B, N)."""
        rows_BH, last_B = pad(histories, self.task.max_history)
        states_BHD = self.encoder(self.items(rows_BH.clamp(min=0)))
        return last_states(states_BHD, last_B) @ self.items.weight.T

    @torch.no_grad()
    def explain(self, history: History, row: int) -> dict:
        """`gaps`: for each of the last history items the ten that the model would put there, from both sides; and
        `pulls`."""
        recent = list(history)[-self.task.max_history :]
        rows_HH = torch.tensor([recent] * len(recent))
        masked_HH = torch.eye(len(recent), dtype=torch.bool)
        near_HK = self.filled(rows_HH, masked_HH, torch.Generator().manual_seed(self.task.seed))
        return super().explain(history, row) | {"gaps": near_HK.tolist()}
