"""Evidence and a denoiser of whole items are weighed item by item: the search then ranks by one distribution."""

import numpy as np
import pytest
import torch
from toys import toy

from mindrec.data.splits import Case
from mindrec.decoding.beam_search import final, ranked_items, search
from mindrec.decoding.config import DecodeConfig
from mindrec.model.diffusion import MASKED, CodeTable
from mindrec.training.calibrate import calibrate

MADE = toy((3, 4, 5), 25, seed=1)
HISTORY = [3, 1, 4]
CODES = {"token_encoder": "codes", "item_softmax": True}


def model_of(alpha: float, beta: float, *, block: bool = False):
    """Without a block every state's scores are the first one's: the answer is known in closed form."""
    model = MADE.compact(3, **CODES)
    with torch.no_grad():
        if not block:
            model.token_head.weight.zero_()
        model.evidence.fill_(np.log(np.expm1(alpha)))
        model.opinion.fill_(np.log(np.expm1(beta)))
    return model


def both_sides(model, histories) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (B, N) of every item by evidence and by the denoiser, from the definition."""
    cache = model.encode(histories)
    seen = torch.tensor(histories)
    evidence = model.item_logits(cache).double().scatter(1, seen, -torch.inf)
    scores = model.code_scores(cache, torch.full((len(histories), 1, 3), MASKED))[:, 0].double()
    of_tokens = scores[:, MADE.tokens].sum(2).scatter(1, seen, -torch.inf)
    return evidence.log_softmax(1), of_tokens.log_softmax(1)


@pytest.mark.parametrize("order", ["left_to_right", "coarse_to_fine", "confidence", "random"])
def test_the_search_ranks_by_the_product_of_both_item_distributions(order):
    model = model_of(0.7, 0.4)
    evidence, of_tokens = both_sides(model, [HISTORY])
    want = torch.nan_to_num(0.7 * evidence + 0.4 * of_tokens, nan=-torch.inf).log_softmax(1)[0]
    steps = search(model, MADE.index, [HISTORY], DecodeConfig(beam_size=25, order=order))
    rows, scores = ranked_items(MADE.index, final(steps).beams, 1, 22)
    assert rows[0].tolist() == want.argsort(descending=True)[:22].tolist()
    assert torch.allclose(scores[0].double(), want.sort(descending=True).values[:22], atol=1e-4)


def test_a_later_state_is_read_again_by_the_denoiser():
    """p(code | state) is of the items that agree with the state, by the scores that the block gives in that state."""
    model = model_of(0.7, 0.4, block=True)
    step = list(search(model, MADE.index, [HISTORY], DecodeConfig(beam_size=3, order="left_to_right")))[2]
    evidence, _ = both_sides(model, [HISTORY])
    cache = model.encode([HISTORY])
    for beam, codes in enumerate(step.before.codes[step.expanded]):
        scores = model.code_scores(cache, codes[None, None])[0, 0].double()
        agrees = ((MADE.codes == codes) | (codes < 0)).all(1)
        agrees[HISTORY] = False
        total = 0.7 * evidence[0] + 0.4 * scores[MADE.tokens[:, codes < 0]].sum(1)
        p = total.masked_fill(~agrees, -torch.inf).softmax(0)
        probability = step.scores.logp[beam, 3:7].exp().double()
        want = torch.stack([p[MADE.codes[:, 1] == code].sum() for code in range(4)])
        assert torch.allclose(probability, want, atol=1e-5)


def test_weights_are_found_again():
    """Targets drawn from evidence^.8 own^.5 give the two powers back."""
    model = model_of(1.0, 1.0)
    rng = np.random.default_rng(0)
    histories = [rng.choice(MADE.n_items, 3, replace=False).tolist() for _ in range(4000)]
    evidence, of_tokens = both_sides(model, histories)
    p = torch.nan_to_num(0.8 * evidence + 0.5 * of_tokens, nan=-torch.inf).softmax(1).numpy()
    sample = [Case(str(n), tuple(h), int(rng.choice(MADE.n_items, p=p[n]))) for n, h in enumerate(histories)]
    fitted = calibrate(model, CodeTable(MADE.codes, MADE.sizes), sample)
    assert model.evidence_weight().tolist() == pytest.approx([0.8] * 3, abs=0.15)
    assert model.token_weight().tolist() == pytest.approx([0.5] * 3, abs=0.15)
    assert fitted["both"][0] < min(fitted["evidence"][0], fitted["tokens"][0])


def test_a_denoiser_that_adds_nothing_is_given_no_weight():
    """Targets drawn from evidence alone: whatever share ranks these cases best by chance is not proven."""
    model = model_of(1.0, 1.0)
    rng = np.random.default_rng(1)
    histories = [rng.choice(MADE.n_items, 3, replace=False).tolist() for _ in range(1000)]
    evidence, _ = both_sides(model, histories)
    p = evidence.softmax(1).numpy()
    sample = [Case(str(n), tuple(h), int(rng.choice(MADE.n_items, p=p[n]))) for n, h in enumerate(histories)]
    calibrate(model, CodeTable(MADE.codes, MADE.sizes), sample)
    assert model.evidence_weight().tolist() == pytest.approx([1.0] * 3, abs=0.15)
    assert max(model.token_weight().tolist()) < 0.001
