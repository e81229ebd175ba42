"""Faults of the published search (design: research table 1.4): each shown in what was published, and absent in ours."""

import heapq

import numpy as np
import pytest
import torch
from toys import toy

from mindrec.data.catalog import Catalog, Item
from mindrec.decoding.beam_search import final, ranked_items, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.expansion import leaders
from mindrec.decoding.published import published_search
from mindrec.errors import MindRecError
from mindrec.model.denoiser import HistoryCache

OFF = {"evidence": "off"}


def ours(made, history, **settings):
    steps = search(made.oracle(), made.index, [history], DecodeConfig(**(OFF | settings)))
    return final(steps)


def published(made, history, beam_size=10):
    steps = published_search(made.oracle(), made.index, [history], DecodeConfig(beam_size=beam_size))
    return final(steps)


def rows_of(made, step, beam_size):
    return ranked_items(made.index, step.beams, 1, beam_size)[0][0].tolist()


def test_two_category_levels_decode():
    """Fault 1: the released penalty divides by (step - 2), which is zero at the first ID step of a two-level tree."""
    steps_of_two_levels = [step - 2 for step in range(2, 6)]
    with pytest.raises(ZeroDivisionError):
        [1 / d for d in steps_of_two_levels]
    made = toy((3, 4, 3, 3), 25, n_categories=2)
    assert sorted(rows_of(made, ours(made, [0], beam_size=30), 30))[-24:] == list(range(1, 25))


def released_selection(scores, codes, beam_size, penalty):
    """The released choice, from its description: a min-heap of negated scores, candidates best first, a newcomer
    replaces the heap's top only if its penalised score beats it; the raw scores are returned."""
    heap = []
    for n in np.argsort(-scores, kind="stable"):
        likeness = max((np.mean(codes[n] == codes[m]) for _, m in heap), default=0.0)
        penalised = scores[n] - penalty * likeness
        if len(heap) < beam_size:
            heapq.heappush(heap, (-scores[n], n))
        elif -heap[0][0] < penalised:
            heapq.heapreplace(heap, (-penalised, n))
    return {int(n) for _, n in heap}


def test_the_diversity_penalty_changes_what_is_kept():
    """Fault 2: as released, the penalty never changes the kept set; ours does, and more so as it grows."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores, codes = rng.random(60), rng.integers(0, 3, (60, 4))
        plain = {int(n) for n in np.argsort(-scores, kind="stable")[:10]}
        assert released_selection(scores, codes, 10, penalty=0.5) == plain
    made = toy((3, 4, 4, 4), 60, seed=3, n_categories=1)
    kept = [
        {tuple(c) for c in ours(made, [0], beam_size=6, expansion="joint", diversity=d).beams.codes.tolist()}
        for d in (0.0, 4.0)
    ]
    assert kept[0] != kept[1]


def test_a_level_with_fewer_codes_than_beams_brings_no_junk():
    """Fault 4: topk over a small level fills the beam with codes of probability zero, which then stay."""
    log_p = torch.tensor([0.5, 0.3, 0.2] + [0.0] * 20).log()
    assert (log_p.topk(10).values == -torch.inf).sum() == 7
    made = toy((2, 3, 2), 9, n_categories=1)
    last = ours(made, [4], beam_size=10)
    rows = rows_of(made, last, 10)
    assert sorted(r for r in rows if r >= 0) == [r for r in range(9) if r != 4]
    assert torch.isfinite(last.beams.score).all()


class Uninformed:
    """A denoiser that has learned nothing of which codes go together."""

    orders, cache_exact, max_history = None, True, 20
    reads_empty = True

    def __init__(self, made):
        self.level_sizes, self.n_items = made.sizes, made.n_items

    def encode(self, histories):
        return HistoryCache(tuple(map(tuple, histories)), None)

    def select(self, cache, users):
        return self.encode([cache.histories[u] for u in users.tolist()])

    def token_logits(self, cache, filled):
        steady = torch.linspace(0, 1, sum(self.level_sizes), dtype=torch.float64)
        return steady.expand(*filled.shape[:2], -1)

    def item_logits(self, cache):
        return None


def test_every_answer_is_an_item():
    """Fault 5: sets of codes a level tie nothing to the catalog, so answers name items that do not exist."""
    made = toy((4, 4, 4, 4), 30, n_categories=1)
    config = DecodeConfig(**OFF)
    theirs = final(published_search(Uninformed(made), made.index, [[0]], config))
    assert -1 in rows_of(made, theirs, 10)
    mine = final(search(Uninformed(made), made.index, [[0]], config))
    assert -1 not in rows_of(made, mine, 10)


def test_seen_items_can_be_left_out():
    """Fault 6: the released filter raises a TypeError; without it the history itself is recommended."""
    with pytest.raises(TypeError):
        sorted([[0.3], 0.2, [0.1]])
    made = toy((3, 3, 3), 12, exclude_seen=False)
    favourite = int(made.p.argmax())
    assert rows_of(made, published(made, [favourite]), 10)[0] == favourite
    assert favourite not in rows_of(made, ours(made, [favourite], beam_size=20), 20)


def test_scores_are_item_probabilities():
    """Fault 7: a product along one order over unnormalised choices is no probability of the item; ours is."""
    made = toy((3, 4, 4), 20, n_categories=1)
    truth = made.truth([5]).log()
    for settings in ({"beam_size": 100}, {"beam_size": 100, "expansion": "joint", "merge": "logsumexp"}):
        last = ours(made, [5], **settings)
        rows, scores = ranked_items(made.index, last.beams, 1, 100)
        filled = rows[0] >= 0
        assert torch.allclose(scores[0][filled], truth[rows[0][filled]], atol=1e-9)


def test_batch_mates_and_padding_change_nothing():
    """Fault 8: without an attention mask a left-padded history attends to its padding."""
    made = toy((3, 4, 4), 20, n_categories=1)
    model = made.compact()
    config = DecodeConfig(beam_size=5)
    short, long = [1], [2, 3, 4, 5, 6]
    alone = final(search(model, made.index, [short], config))
    together = final(search(model, made.index, [short, long], config))
    mine = together.beams.user == 0
    assert torch.equal(together.beams.codes[mine], alone.beams.codes)
    assert torch.allclose(together.beams.score[mine], alone.beams.score, atol=1e-5)


def test_one_name_under_two_parents_is_two_nodes():
    """Fault 13: codes keyed by a category's bare name give both nodes the first parent's code."""
    items = [Item("a", "A", ("Men", "Shoes")), Item("b", "B", ("Women", "Shoes"))]
    by_name = {name: n for n, name in enumerate(dict.fromkeys(i.categories[1] for i in items))}
    assert len(by_name) == 1
    codes = Catalog(tuple(items)).tree.codes
    assert codes[0, 1] != codes[1, 1]


def test_several_positions_at_once_spare_denoiser_calls():
    """Fault 16: the released loop accepts a number of steps and reveals one token a call all the same."""
    made = toy((3, 4, 4, 4), 60, n_categories=1)
    assert int(published(made, [0]).nfe) == 4
    assert [int(ours(made, [0], steps=k).nfe) for k in (1, 2, 3)] == [1, 2, 3]


def test_interventions_and_twins_are_refused_by_the_published_search():
    """What it cannot do is said, not ignored."""
    made = toy((3, 3), 6)
    with pytest.raises(MindRecError, match="pins"):
        list(published_search(made.oracle(), made.index, [[0]], DecodeConfig(pins=((0, 1),))))
    twin = made.compact(objective="ar")
    with pytest.raises(MindRecError, match="auto-regressive"):
        list(published_search(twin, made.index, [[0]], DecodeConfig()))


def test_of_equal_answers_the_best_leads_on_several_threads_too():
    """Written by assignment, the leader of a large group was whichever thread came last."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for seed in range(3):
            draw = torch.Generator().manual_seed(seed)
            group, order = torch.randint(50, (200_000,), generator=draw), torch.randperm(200_000, generator=draw)
            want = {}
            for member in order.tolist():
                want.setdefault(int(group[member]), member)
            assert leaders(group, order, 50).tolist() == [want[g] for g in range(50)]
    finally:
        torch.set_num_threads(threads)
