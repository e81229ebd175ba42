"""The layout of an answer's levels, against counting by hand."""

import numpy as np
import torch

from mindrec.tokens.levels import Levels

LEVELS = Levels((2, 3, 1), 2)


def test_tokens_count_through_all_levels():
    assert LEVELS.offsets == (0, 2, 5)
    assert (len(LEVELS), LEVELS.n_tokens, list(LEVELS.categories)) == (3, 6, [0, 1])
    assert [list(range(6))[level] for level in LEVELS.slices] == [[0, 1], [2, 3, 4], [5]]
    assert LEVELS.level_of_token(torch.device("cpu")).tolist() == [0, 0, 1, 1, 1, 2]


def test_codes_and_tokens_of_tensors_and_arrays():
    codes = [[1, 2, 0], [0, 0, 0]]
    tokens = [[1, 4, 5], [0, 2, 5]]
    for made in (torch.tensor, lambda values: np.array(values, dtype=np.int32)):
        assert LEVELS.tokens(made(codes)).tolist() == tokens
        assert LEVELS.codes(made(tokens)).tolist() == codes


def test_probabilities_sum_to_one_in_each_level_over_what_is_legal():
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])
    legal = torch.tensor([[True, True, True, False, True, False]])
    p = LEVELS.legal_log_softmax(logits, legal).exp()
    assert torch.allclose(p[:, :2], logits[:, :2].softmax(1))
    assert torch.allclose(p[0, [2, 4]], logits[0, [2, 4]].softmax(0))
    assert p[0, [3, 5]].tolist() == [0, 0]
    assert LEVELS.legal_log_softmax(logits, legal, [1])[0, :2].isneginf().all()
    whole = [part.sum().item() for part in LEVELS.split(LEVELS.softmax(logits))]
    assert np.allclose(whole, 1)
    assert torch.allclose(LEVELS.log_softmax(logits).exp(), LEVELS.softmax(logits))


def test_what_inference_caches_can_be_trained_with():
    """The cached tensors outlive the mode that they were first asked for in."""
    levels = Levels((3, 5))
    with torch.inference_mode():
        levels.tokens(torch.tensor([[0, 1]]))
        levels.level_of_token(torch.device("cpu"))
    weight = torch.ones(8, requires_grad=True)
    weight[levels.level_of_token(torch.device("cpu"))].sum().backward()
    weight[levels.offset_tensor(torch.device("cpu"))].sum().backward()
    assert weight.grad.sum() == 10
