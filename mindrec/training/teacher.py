"""The teacher of the target block: item probabilities of the dense head, summed by code at each open position.

Shape legend: M targets, S = M * V states (V views of each target), N items, L levels.
"""

import torch
import torch.nn.functional as F

from mindrec.model.diffusion import MASKED, CodeTable, restricted


def code_masses(
    table: CodeTable,
    mass_MN: torch.Tensor,
    target_M: torch.Tensor,
    seen_SL: torch.Tensor,
    scored_SL: torch.Tensor,
    of_next_SL: torch.Tensor,
) -> list[torch.Tensor]:
    """For each level the share of item mass that its codes have, (states that ask, codes).

    Args:
        of_next_SL: where the target's codes before the level are all that is known. That holds for most states, and a
            quick way answers them.
    """
    views, sums, out = len(seen_SL) // len(mass_MN), table.running_sums(mass_MN), []
    for level, other in enumerate(_other_masses(table, mass_MN, seen_SL, scored_SL & ~of_next_SL)):
        state = scored_SL[:, level].nonzero()[:, 0]
        of_next = of_next_SL[state, level]
        row = state[of_next] // views
        share = mass_MN.new_empty(len(state), table.level_sizes[level])
        share[of_next] = table.next_codes(sums, row, target_M[row], level)
        share[~of_next] = other
        out.append(F.normalize(share, p=1, dim=1))
    return out


def predicts_next(seen_SL: torch.Tensor) -> torch.Tensor:
    """Whether a position (S, L) comes right after the filled ones, where those are the coarsest levels and no other."""
    filled_SL = seen_SL != MASKED
    known_S1 = filled_SL.cumprod(1).sum(1, keepdim=True)
    level_L = torch.arange(seen_SL.shape[1], device=seen_SL.device)
    return (level_L == known_S1) & (filled_SL.sum(1, keepdim=True) == known_S1)


def _other_masses(
    table: CodeTable, mass_MN: torch.Tensor, seen_SL: torch.Tensor, scored_SL: torch.Tensor
) -> list[torch.Tensor]:
    """For each level item mass by code (states that ask, codes), whatever is filled: by going over all items."""
    # index_select copies whole rows, five times as fast on a CPU as indexing does.
    some = scored_SL.any(1).nonzero()[:, 0]
    mass = mass_MN.index_select(0, some // (len(seen_SL) // len(mass_MN)))
    mass, scored_SL = restricted(mass, table.consistent(seen_SL[some])), scored_SL[some]
    levels = range(len(table.level_sizes))
    return [table.sum_by_code(mass.index_select(0, scored_SL[:, n].nonzero()[:, 0]), n) for n in levels]
