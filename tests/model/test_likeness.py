"""Texts' likeness told through codes: what it adds to an item, and how strong it is, are known in closed form."""

import numpy as np
import pytest
import torch
from toys import toy

from mindrec.data.splits import Case
from mindrec.errors import MindRecError
from mindrec.model.architecture import CompactConfig
from mindrec.model.diffusion import MASKED, CodeTable
from mindrec.model.likeness import RECENCY, Likeness
from mindrec.training.calibrate import calibrate

MADE = toy((3, 4, 5), 25, seed=1)
WIDTH = 6


def model_of(strength: float, *, silent: bool = False):
    """A model whose codes carry made-up texts; `silent`: its reader says nothing of its own."""
    model = MADE.compact(3, token_encoder="codes", item_softmax=True, text_width=WIDTH)
    generator = torch.Generator().manual_seed(2)
    texts = torch.nn.functional.normalize(torch.randn(MADE.n_items, WIDTH, generator=generator), dim=1)
    model.likeness.set_texts(texts, model.tokens_NL, model.level_sizes)
    with torch.no_grad():
        model.likeness.strength.fill_(strength)
        model.token_head.weight.zero_()
        if silent:
            model.output_embedding.weight.zero_()
            model.token_bias.zero_()
    return model


def code_scores(model, histories) -> torch.Tensor:
    filled = torch.full((len(histories), 1, 3), MASKED)
    return model.code_scores(model.encode(histories), filled)[:, 0].double()


def test_an_item_gains_its_likeness_to_the_history_times_the_strength():
    with_texts, without = model_of(3.0), model_of(0.0)
    history = [3, 1, 4]
    gained = (code_scores(with_texts, [history]) - code_scores(without, [history]))[:, MADE.tokens].sum(2)[0]
    texts = with_texts.likeness.of_items(with_texts.tokens_NL).double()
    weights = torch.tensor([RECENCY**2, RECENCY, 1.0], dtype=torch.float64)
    read = (weights / weights.sum()) @ texts[history]
    torch.testing.assert_close(gained, 3 * texts @ read, atol=1e-5, rtol=0)


def test_codes_of_one_item_each_carry_its_text_whole():
    """As many codes on a level as items: nothing is left over."""
    texts = torch.randn(7, 4)
    likeness = Likeness(7, WIDTH)
    likeness.set_texts(texts, torch.arange(7)[:, None], (7,))
    torch.testing.assert_close(likeness.of_items(torch.arange(7)[:, None])[:, :4], texts)


def test_a_history_that_grows_is_read_as_if_from_the_start():
    model = model_of(2.0)
    grown = model.extend(model.encode([[3, 1]]), 4)
    torch.testing.assert_close(grown.state["texts"], model.encode([[3, 1, 4]]).state["texts"])


def test_the_strength_is_found_again_and_a_gain_gives_tokens_a_share():
    """Targets drawn by evidence and a likeness of 4 nats: fitting gives both back."""
    model = model_of(1.0, silent=True)
    rng = np.random.default_rng(0)
    histories = [rng.choice(MADE.n_items, 3, replace=False).tolist() for _ in range(3000)]
    cache = model.encode(histories)
    like = model.likeness.of_histories(histories, model.tokens_NL) @ model.likeness.of_items(model.tokens_NL).T
    logits = (model.item_logits(cache) + 4 * like).scatter(1, torch.tensor(histories), -torch.inf)
    p = logits.double().softmax(1).numpy()
    sample = [Case(str(n), tuple(h), int(rng.choice(MADE.n_items, p=p[n]))) for n, h in enumerate(histories)]
    calibrate(model, CodeTable(MADE.codes, MADE.sizes), sample)
    beta = model.token_weight()[0].item()
    assert beta > 0.01
    assert beta * model.likeness.strength.item() == pytest.approx(4, abs=0.8)
    assert model.evidence_weight()[0].item() == pytest.approx(1, abs=0.2)


def test_the_twin_s_strength_is_fitted_by_its_tokens():
    """Targets drawn by a likeness of 5 nats alone: a silent twin that decodes code by code gives them back, nearly."""
    model = MADE.compact(3, token_encoder="codes", text_width=WIDTH, objective="ar")
    other = model_of(1.0, silent=True)
    with torch.no_grad():
        model.likeness.vectors.copy_(other.likeness.vectors)
        for weight in (model.token_head.weight, model.output_embedding.weight, model.token_bias):
            weight.zero_()
    rng = np.random.default_rng(0)
    histories = [rng.choice(MADE.n_items, 3, replace=False).tolist() for _ in range(2000)]
    read = model.likeness.of_histories(histories, model.tokens_NL)
    p = (5 * read @ model.likeness.of_items(model.tokens_NL).T).scatter(1, torch.tensor(histories), -torch.inf)
    p = p.double().softmax(1).numpy()
    sample = [Case(str(n), tuple(h), int(rng.choice(MADE.n_items, p=p[n]))) for n, h in enumerate(histories)]
    calibrate(model, CodeTable(MADE.codes, MADE.sizes), sample)
    assert 2 < model.likeness.strength.item() < 8


def test_likeness_needs_a_code_reader():
    with pytest.raises(MindRecError, match="text_width 6"):
        CompactConfig((2, 2), 4, text_width=6)
    assert "text_width" not in CompactConfig((2, 2), 4).to_dict()
