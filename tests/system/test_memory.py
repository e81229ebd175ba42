"""Memory that runs out: injected into the denoiser, at the size that a person's card would choose."""

import numpy as np
import pytest
import torch
from toys import toy

from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis.track_gold import ItemFacts, diagnose
from mindrec.evaluation.evaluate import rank
from mindrec.system.failures import OutOfMemory
from mindrec.system.memory import in_fitting_parts

SMALL = toy((3, 4, 4), 24, n_categories=1)
CASES = [Case(f"u{n}", (n % 24, (n * 7 + 1) % 24), (n * 5 + 2) % 24) for n in range(23)]
CONFIG = DecodeConfig(beam_size=4, evidence="off")


class Card:
    """A denoiser on a card that holds `most` users at once; counts how often it was asked for more."""

    def __init__(self, denoiser, most: int):
        self.denoiser, self.most, self.failed = denoiser, most, 0

    def __getattr__(self, name):
        return getattr(self.denoiser, name)

    def token_logits(self, cache, filled):
        if len(cache.histories) > self.most:
            self.failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return self.denoiser.token_logits(cache, filled)


def ranking(denoiser, batch=16):
    return rank(denoiser, SMALL.index, CASES, CONFIG, batch=batch)


@pytest.mark.parametrize("most", [1, 3, 8, 15])
def test_evaluation_lowers_the_batch_says_so_and_gives_the_same_answers(capsys, most):
    model = SMALL.compact()
    whole, card = ranking(model), Card(model, most)
    ranked = ranking(card)
    assert np.array_equal(ranked.rows, whole.rows)
    assert np.allclose(ranked.scores, whole.scores, atol=1e-5)
    assert (ranked.nfe, ranked.beam_rows) == (whole.nfe, whole.beam_rows)
    said = [line for line in capsys.readouterr().err.splitlines() if "out of memory" in line]
    assert len(said) == card.failed == {1: 4, 3: 3, 8: 1, 15: 1}[most]
    assert said[0] == "out of memory at 16 cases a batch; going on with 8"


def test_diagnosis_does_too(capsys):
    model = SMALL.compact()
    facts = ItemFacts.of([f"i{n}" for n in range(24)], SMALL.codes.numpy(), range(1), [np.arange(24)])
    card, reported = Card(model, 5), []
    whole = diagnose(model, SMALL.index, CASES, CONFIG, facts)
    frame = diagnose(card, SMALL.index, CASES, CONFIG, facts, report=reported.append)
    assert sum(reported) == len(CASES)
    assert frame["gold_rank"].equals(whole["gold_rank"])
    assert frame["user_id"].tolist() == [c.user_id for c in CASES]
    assert "going on with 11" in capsys.readouterr().err


def test_one_case_that_does_not_fit_ends_it_with_a_remedy():
    card = Card(SMALL.compact(), 0)
    with pytest.raises(OutOfMemory, match="fewer beams"):
        ranking(card)
    assert card.failed == 5  # 16, 8, 4, 2, 1


def test_other_errors_are_not_taken_for_it():
    parts = []

    def run(part):
        parts.append(part)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        list(in_fitting_parts(run, [range(8)]))
    assert parts == [range(8)]


def test_what_the_failed_run_held_is_free_before_the_next_one():
    """Else the second try would fail for the first one's tensors."""
    import weakref

    held, alive = [], []

    def run(part):
        alive.append([ref() is not None for ref in held])
        tensor = torch.zeros(4)
        held.append(weakref.ref(tensor))
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return len(part)

    assert list(in_fitting_parts(run, [range(8)], tell=lambda words: None)) == [(0, 2), (2, 2), (4, 2), (6, 2)]
    assert not any(any(still) for still in alive)
