"""The published Diffusion Beam Search, as the paper and its released settings describe it: the comparator.

MindRec, arXiv 2511.12597, and its released test script, from a description of what they do: every beam at every step
is one full forward pass over history and target (no cache); probabilities are a softmax over the level's whole
vocabulary, masked to it and not renormalised over what is possible; scores are products of probabilities; the first
steps fill the category levels in order, each later step lets all open semantic-ID positions of all beams compete, at
most `beam_size` tokens a position and `beam_size` (position, token) pairs a beam; identical answers are one. Nothing
ties a code to its category or to the catalog, so an answer may name no item (`CC` counts those).

Left out on purpose: its faults that only crash or change nothing (the division by
`step - 2`, the diversity penalty without effect, the removal of finished items).

Shape legend: B users, S beams, L levels, T tokens, K beam size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import Beams, StateKeys, group_ids, order_by, rank_within
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.expansion import Candidates, leaders
from mindrec.decoding.inference import in_inference_mode
from mindrec.decoding.item_index import ItemIndex, Members
from mindrec.decoding.scoring import BeamScores
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser


@in_inference_mode
def published_search(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
) -> Iterator[Step]:
    """Decode B histories; yields the same `Step`s as mindrec.decoding.beam_search.search.

    Only `beam_size` of the settings has a meaning here; interventions are an error.

    Raises:
        MindRecError: pins or bans are set, or the denoiser is auto-regressive.
    """
    if config.pins or config.forbid_tokens or config.forbid_items:
        raise MindRecError("the published search has no pins or bans; lift them, or decode with algorithm='mindrec'")
    if denoiser.orders is not None:
        raise MindRecError("the published search fills positions in any order; an auto-regressive denoiser cannot")
    yield from _search(denoiser, index, histories, config)


def _search(denoiser, index, histories, config: DecodeConfig) -> Iterator[Step]:
    device, B, depth = index.tokens_NL.device, len(histories), len(index.levels.categories)
    keys = StateKeys(index.levels.sizes, device)
    beams = _start(index, B, device)
    nfe, rows = torch.zeros(2, B, dtype=torch.int64, device=device)
    nothing = torch.zeros(0, dtype=torch.int64, device=device)
    yield Step(0, None, beams, nothing, None, beams.open[:0], None, None, nfe, rows)
    for number in range(1, index.n_levels + 1):
        before = beams
        expanded = torch.arange(len(before.user), device=device)
        scores = _score_beams(denoiser, index, histories, before)
        nfe, rows = nfe + 1, rows + torch.bincount(before.user, minlength=B)
        chosen = before.open.clone()
        if number <= depth:
            chosen[:] = False
            chosen[:, number - 1] = True
        else:
            chosen[:, :depth] = False
        candidates = _select(index, before, scores, chosen, keys, config.beam_size)
        beams = _keep(index, before, candidates)
        yield Step(number, before, beams, expanded, scores, chosen, candidates, None, nfe, rows)


def _start(index: ItemIndex, B: int, device) -> Beams:
    zeros = torch.zeros(B, dtype=torch.float64, device=device)
    users = torch.arange(B, device=device)
    everything = torch.arange(index.n_items, device=device)
    return Beams(
        user=users,
        codes=torch.full((B, index.n_levels), -1, dtype=torch.int64, device=device),
        score=zeros,
        parent=users,
        perturbed_score=zeros,
        forced=torch.zeros(B, index.n_levels, dtype=torch.bool, device=device),
        members=Members(users.repeat_interleave(index.n_items), everything.repeat(B), B),
        items=torch.full((B,), index.n_items, device=device),
    )


def _score_beams(denoiser: Denoiser, index: ItemIndex, histories, before: Beams) -> BeamScores:
    """One full forward pass a beam: the history is read again for each of them."""
    beam_histories = [histories[u] for u in before.user.tolist()]
    denoiser_logits = denoiser.token_logits(denoiser.encode(beam_histories), before.codes[:, None])[:, 0]
    logp = index.levels.log_softmax(denoiser_logits)
    counts = index.count_by_token(before.members)
    return BeamScores(logp, counts, denoiser_logits, None, 1, len(beam_histories))


def _select(index: ItemIndex, before: Beams, scores: BeamScores, chosen, keys: StateKeys, K: int) -> Candidates:
    """The K best tokens of each position, then the K best pairs of each beam, then the K best answers of each user."""
    logp = scores.logp.double().masked_fill(~chosen[:, index.level_of_T], -torch.inf)
    best = torch.full_like(logp, -torch.inf)
    for level in index.levels.slices:
        top = logp[:, level].topk(min(K, level.stop - level.start), dim=1)
        best[:, level].scatter_(1, top.indices, top.values)
    top = best.topk(min(K, best.shape[1]), dim=1)
    row = torch.arange(len(best), device=best.device)[:, None].expand_as(top.indices)
    real = top.values.isfinite()
    row, token, gain = row[real], top.indices[real], top.values[real]
    score = before.score[row] + gain
    candidates = Candidates(row, token, score, score, before.codes, index.levels)
    everything = torch.arange(len(row), device=row.device)
    user, key = before.user[row], keys.of(candidates.codes(everything))
    group, n_groups = group_ids(user, key)
    order = order_by(user, score, lambda: key)
    lead = leaders(group, order, n_groups)[group]
    first = lead == everything
    order = order[first[order]]
    kept = order[rank_within(user[order]) < K]
    return replace(candidates, kept=kept, merged_into=torch.where(first, -1, lead))


def _keep(index: ItemIndex, before: Beams, candidates: Candidates) -> Beams:
    kept = candidates.kept
    parent, token = candidates.parent[kept], candidates.token[kept]
    table = torch.full((len(before.user), index.n_tokens), -1, dtype=torch.int64, device=kept.device)
    states, items = [], []
    for position in index.level_of_T[token].unique().tolist():
        mine = (index.level_of_T[token] == position).nonzero()[:, 0]
        table.fill_(-1)
        table[parent[mine], token[mine]] = mine
        state = table[before.members.state, index.tokens_NL[before.members.item, position]]
        states.append(state[state >= 0])
        items.append(before.members.item[state >= 0])
    members = Members(torch.cat(states), torch.cat(items), len(kept))
    return Beams(
        user=before.user[parent],
        codes=candidates.codes(kept),
        score=candidates.score[kept],
        parent=parent,
        perturbed_score=candidates.score[kept],
        forced=before.forced[parent],
        members=members,
        items=members.counts(),
    )
