"""FMRec: flow matching. A point walks straight from noise to the next item's vector.

"Flow matching based sequential recommender model", arXiv 2505.16298. Its equations, as used here:

- path: x_t = t x_1 + (1 - t) z_0 with x_1 the target's vector, z_0 ~ N(0, I);
- the network predicts x_1 from history + lambda (x_t + embedding of t), lambda ~ N(.001, .001): so small that the end
  hardly depends on the noise. With x_t at full size a walk ends at a random item of those that are likely, and ranks
  no others. The velocity of the walk is v = x_1 - z_0;
- loss: MSE(x_1 predicted, x_1) + .2 cross-entropy of the predicted point over all items;
- t by mode sampling: t = 1 - u - s (cos^2(pi u / 2) - 1 + u) with u ~ U(0, 1), s = 1;
- Euler's method over N steps, 30 in the paper; the walk starts from one fixed noise, so that an answer is repeatable.

It differs in three ways: noise enters at the history's state and not at each of its items, so that every prefix is a
sample of one pass; the MSE moves the prediction alone and not the item vectors (with them, on a twelfth of grocery,
validation NDCG@10 fell from .069 to .014 within four epochs); and the third loss, which rebuilds the history, is left
out.

Shape legend: B sequences, W window length, N items, D width, S samples, E Euler steps.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.arena.encoder import WIDTH, AttentionEncoder, item_table, last_states
from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import History, Task, pad

STEPS = 30
ENTROPY_SHARE = 0.2
NOISE_SHARE = 0.001
"""Mean and deviation of lambda in training; an answer takes the mean."""
NEAREST = 3
"""Items that `explain` names at each point of the walk."""


def mode_times(u_S: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Times (S,) in 0..1 of uniform numbers: mode sampling; a positive scale prefers the ends of the path."""
    return 1 - u_S - scale * (torch.cos(math.pi / 2 * u_S) ** 2 - 1 + u_S)


def walk(
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], start_SD: torch.Tensor, steps: int
) -> list[torch.Tensor]:
    """Euler's method from `start_SD`: the points (S, D), the first the noise, the last the answer.

    `predict(x_SD, t_S)` gives the end of the path; the velocity is that end less the start.
    """
    points = [start_SD]
    for n in range(steps):
        time_S = torch.full((len(start_SD),), n / steps)
        velocity_SD = predict(points[-1], time_S) - start_SD
        points.append(points[-1] + velocity_SD / steps)
    return points


class FMRec(NeuralMethod):
    """Ranks items by their vector's product with the end of the walk."""

    title = "FMRec"
    paper = "arXiv 2505.16298, without the reconstruction loss"
    published = ""
    calls = float(STEPS)

    def __init__(self, task: Task):
        super().__init__(task)
        self.items, self.encoder = item_table(task.n_items), AttentionEncoder(task.max_history)
        self.time = nn.Sequential(nn.Linear(1, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.end = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        noise = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(task.seed))
        self.register_buffer("noise", noise)

    def vectors(self) -> torch.Tensor:
        """Item vectors of mean square 1, (N, D): noise and data are of one size, as the path supposes."""
        return F.layer_norm(self.items.weight, (WIDTH,))

    def predict(
        self, states_SD: torch.Tensor, x_SD: torch.Tensor, t_S: torch.Tensor, share: torch.Tensor | float = NOISE_SHARE
    ) -> torch.Tensor:
        """The end of the path that the network expects, (S, D); `share` is lambda, one or (S, 1)."""
        read_SD = states_SD + share * (x_SD + self.time(t_S[:, None]))
        return read_SD + self.end(read_SD)

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """MSE to the target's vector and cross-entropy over all items, at every position (scalar)."""
        vectors_ND = self.vectors()
        states_BHD = self.encoder(F.embedding(windows_BW[:, :-1].clamp(min=0), vectors_ND))
        real_BH = windows_BW[:, 1:] >= 0
        targets_S, states_SD = windows_BW[:, 1:][real_BH], states_BHD[real_BH]
        ends_SD = vectors_ND[targets_S].detach()
        noise_SD = torch.randn(ends_SD.shape, generator=generator)
        t_S = mode_times(torch.rand(len(targets_S), generator=generator))
        x_SD = t_S[:, None] * ends_SD + (1 - t_S[:, None]) * noise_SD
        share_S1 = NOISE_SHARE * (1 + torch.randn(len(t_S), 1, generator=generator))
        predicted_SD = self.predict(states_SD, x_SD, t_S, share_S1)
        entropy = F.cross_entropy(predicted_SD @ vectors_ND.T / WIDTH**0.5, targets_S)
        return F.mse_loss(predicted_SD, ends_SD) + ENTROPY_SHARE * entropy

    @torch.no_grad()
    def path(self, histories: Sequence[History], steps: int = STEPS) -> list[torch.Tensor]:
        """The walk's points for each history, each (B, D): noise first, answer last."""
        rows_BH, last_B = pad(histories, self.task.max_history)
        states_BD = last_states(self.encoder(F.embedding(rows_BH.clamp(min=0), self.vectors())), last_B)
        start_BD = self.noise.expand(len(histories), -1)
        return walk(lambda x_BD, t_B: self.predict(states_BD, x_BD, t_B), start_BD, steps)

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Products of the walk's end with all item vectors, (B, N)."""
        return self.path(histories)[-1] @ self.vectors().T

    @torch.no_grad()
    def explain(self, history: History, row: int) -> dict:
        """`walk`: for every point the distance to the item and the rows of the nearest items; and `pulls`."""
        vectors_ND = self.vectors()
        walk = []
        for point_1D in self.path([history]):
            distance_N = torch.cdist(point_1D, vectors_ND)[0]
            nearest = distance_N.topk(min(NEAREST, len(distance_N)), largest=False).indices
            walk.append({"distance": float(distance_N[row]), "nearest": nearest.tolist()})
        return super().explain(history, row) | {"walk": walk}
