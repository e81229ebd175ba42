"""The dense part and what is built on it: fast cross-entropy, item vectors, calibration, slices, paired comparison."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from toys import toy

from mindrec.checkpoint import load_checkpoint
from mindrec.data.splits import Case, training_sequences
from mindrec.decoding.exact import enumerate_order
from mindrec.errors import MindRecError
from mindrec.evaluation.bootstrap import bootstrap_ratio
from mindrec.evaluation.evaluate import Ranking
from mindrec.evaluation.metrics import accuracy, gold_ranks, semantic_accuracy
from mindrec.evaluation.paired import compare_checkpoints
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import DECODED, evaluate_checkpoint
from mindrec.evaluation.slices import calibration, popularity_bias, slices
from mindrec.model.diffusion import MASKED, CodeTable
from mindrec.model.softmax import CHUNK, catalog_cross_entropy
from mindrec.training.calibrate import calibrate, token_likelihood
from mindrec.training.run import train_checkpoint
from mindrec.training.running import Running
from mindrec.training.stages import Recipe, starting_vectors

MADE = toy((3, 4, 5), 26, seed=2, n_categories=2)


# -- the catalog's cross-entropy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 3])
def test_catalog_cross_entropy_is_cross_entropy(targets):
    """Value and all three gradients, whatever part of a chunk is left over."""
    rng = torch.Generator().manual_seed(targets)
    target = torch.randint(50, (targets,), generator=rng)
    shapes = ((targets, 8), (50, 8), (50,))
    ours = [torch.randn(shape, generator=rng).requires_grad_() for shape in shapes]
    theirs = [value.detach().clone().requires_grad_() for value in ours]
    one = catalog_cross_entropy(*ours, target)
    other = F.cross_entropy(theirs[0] @ theirs[1].T + theirs[2], target)
    assert one.item() == pytest.approx(other.item(), rel=1e-6)
    (3 * one).backward()
    (3 * other).backward()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)


# -- item vectors and tokens -------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99))
def test_item_vectors_are_what_they_were_set_to(seed):
    """Whatever the codes, tokens and own embeddings add up to the vectors given."""
    model = MADE.compact(seed)
    vectors = torch.randn(MADE.n_items, 32, generator=torch.Generator().manual_seed(seed))
    model.set_item_vectors(vectors)
    assert torch.allclose(model.item_vectors(), vectors, atol=1e-5)
    assert model.item_embedding.weight.norm() < vectors.norm()


def test_tokens_carry_all_that_items_of_a_code_share():
    """Items that differ by their first code alone need no embedding of their own."""
    model = MADE.compact()
    of_code = torch.randn(3, 32)
    model.set_item_vectors(of_code[MADE.codes[:, 0]])
    assert model.item_embedding.weight.abs().max() < 1e-5
    assert torch.allclose(model.token_embedding.weight[:3], of_code, atol=1e-6)


def test_starting_vectors_keep_the_geometry():
    """A rotation and one scale: likenesses between items stay as the features have them; nothing known gives zeros."""
    known = np.random.default_rng(0).normal(size=(30, 6))
    vectors = starting_vectors(known, 16, seed=1)
    centred = known - known.mean(0)
    ratio = (vectors @ vectors.T) / (centred @ centred.T)
    assert np.allclose(ratio, ratio[0, 0], rtol=1e-3)
    assert np.abs(starting_vectors(np.zeros((5, 2)), 16, seed=1)).max() == 0


# -- two stages --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twins(chain_data, tiny_preset, tmp_path_factory):
    """A diffusion checkpoint, and its auto-regressive twin on the same dense part."""
    folder = tmp_path_factory.mktemp("twins")
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=3, epochs=4, dense_rate=0.0))
    quiet = Running("cpu", progress=False)
    train_checkpoint(chain_data, recipe, folder / "diffusion", running=quiet)
    train_checkpoint(chain_data, recipe, folder / "ar", Recipe("ar", dense_from=folder / "diffusion"), quiet)
    return folder / "diffusion", folder / "ar"


def test_the_twin_shares_everything_but_the_block(twins):
    one, other = (load_checkpoint(folder, "cpu") for folder in twins)
    assert np.array_equal(one.tokenizer.codes, other.tokenizer.codes)
    histories = [[1, 2, 3], [7]]
    dense = [c.denoiser.dense_logits(c.denoiser.encode(histories)) for c in (one, other)]
    assert torch.allclose(*dense, atol=1e-5)  # item evidence also has fitted powers, which end a little apart
    assert other.decode.order == "left_to_right"
    assert [r["stage"] for r in other.training["curve"]] == ["block"] * len(other.training["curve"])


def test_a_frozen_dense_part_does_not_move(twins):
    """With rate 0 every epoch of the block finds the dense head as the stage before left it."""
    record = load_checkpoint(twins[0], "cpu").training
    scores = {r["validation"]["dense_ndcg@10"] for r in record["curve"] if r["stage"] == "block"}
    assert len(scores) == 1
    assert record["best_epoch"] >= 3


def test_semantic_ids_are_made_again_from_trained_vectors(chain_data, tiny_preset, tmp_path):
    """The codes of a run with a dense stage are those of its own item vectors, not of texts and co-occurrence."""
    from mindrec.tokens.semantic_id import Codebooks, codes_of_vectors
    from mindrec.training.starting import make_tokenizer

    recipe = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=3, epochs=1, dense_rate=0.0))
    made = train_checkpoint(chain_data, recipe, tmp_path / "c", running=Running("cpu", progress=False))
    with torch.no_grad():
        vectors = made.denoiser.item_vectors().numpy()
    levels, size = tiny_preset.sid_levels, tiny_preset.codebook_size
    taken = np.bincount(np.concatenate(training_sequences(chain_data.interactions)), minlength=len(vectors))
    again = codes_of_vectors(Codebooks("residual", levels, size), vectors, chain_data.catalog, 1.0 + taken)
    assert (again == made.tokenizer.codes[:, -levels:]).mean() > 0.99  # sums in another order, by rounding
    assert not np.array_equal(make_tokenizer(chain_data, tiny_preset).codes, made.tokenizer.codes)


def test_dense_from_another_catalog_is_refused(twins, tiny_preset, tmp_path):
    from mindrec.sources.synthetic import load

    other = load(n_items=30, n_users=50, predictability=1.0)
    with pytest.raises(MindRecError, match="dense-from"):
        train_checkpoint(
            other,
            tiny_preset,
            tmp_path / "c",
            Recipe(dense_from=twins[0]),
            running=Running("cpu", progress=False),
        )


# -- calibration of the evidence weights -------------------------------------------------------------------------------


def cases_of(target_of, n: int = 300, seed: int = 0) -> list[Case]:
    rng = np.random.default_rng(seed)
    out = []
    while len(out) < n:
        history = tuple(map(int, rng.choice(MADE.n_items, 3, replace=False)))
        target = int(target_of(rng, history))
        if target not in history:
            out.append(Case(str(len(out)), history, target))
    return out


def test_weighing_is_never_worse_than_either_alone():
    model, table = MADE.compact(seed=3), CodeTable(MADE.codes, MADE.sizes)
    sample = cases_of(lambda rng, history: rng.choice(MADE.n_items, p=MADE.p.numpy()))
    fitted = calibrate(model, table, sample)
    for evidence, both in zip(fitted["evidence"], fitted["both"], strict=True):
        assert both <= evidence + 1e-4
    assert sum(fitted["both"]) < sum(fitted["evidence"]) - 0.02  # what the tokens alone know of who is taken is used


@pytest.mark.parametrize("believed", ["dense", "tokens"])
def test_who_is_right_is_believed(believed):
    """Targets drawn from the dense head's own distribution leave the opinion nothing; those of a decode that weighs it
    with 1.5 at the first level, where much is decided, give that weight back."""
    model, table = MADE.compact(seed=3), CodeTable(MADE.codes, MADE.sizes)
    with torch.no_grad():
        model.token_head.weight.mul_(3)  # an opinion that says something
    first = model.levels.codes(model.tokens_NL)[:, 0]

    rng = np.random.default_rng(0)
    histories = [tuple(map(int, rng.choice(MADE.n_items, 3, replace=False))) for _ in range(3000)]
    cache = model.encode(histories)
    logits = model.item_logits(cache).double()
    p_UN = logits.scatter(1, torch.tensor(histories), -torch.inf).softmax(1)
    if believed == "tokens":
        masked = torch.full((len(histories), 1, 3), MASKED)
        tilt_UC = (1.5 * model.token_logits(cache, masked)[:, 0, : MADE.sizes[0]].double()).exp()
        p_UN = p_UN * tilt_UC[:, first]
    targets = [int(rng.choice(MADE.n_items, p=p)) for p in (p_UN / p_UN.sum(1, keepdim=True)).numpy()]
    calibrate(model, table, [Case(str(n), h, t) for n, (h, t) in enumerate(zip(histories, targets, strict=True))])
    expected = 1.5 if believed == "tokens" else 0.0
    assert model.token_weight()[0].item() == pytest.approx(expected, abs=0.3)
    assert model.evidence_weight().tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("objective", ["ar", "diffusion"])
def test_the_likelihood_that_chooses_epochs_is_that_of_a_decode(objective):
    model, table = MADE.compact(seed=3, objective=objective), CodeTable(MADE.codes, MADE.sizes)
    few, repeat, want = cases_of(lambda rng, history: rng.integers(MADE.n_items), n=5), Case("r", (1, 2), 2), 0.0
    for case in few:
        allowed = torch.ones(MADE.n_items, dtype=torch.bool)
        allowed[list(case.history)] = False
        want += float(enumerate_order(model, MADE.index, case.history, allowed, (0, 1, 2))[case.target]) / len(few)
    assert token_likelihood(model, table, [*few * 20, repeat]) == pytest.approx(want, rel=1e-5)
    assert token_likelihood(model, table, [repeat]) == 0.0


# -- slices and measures -----------------------------------------------------------------------------------------------


def ranking(rows, scores) -> Ranking:
    return Ranking(np.array(rows), np.log(np.array(scores)), 7.0, 50.0, 0.5, 0.0, 1.0)


def test_slices_by_hand():
    """Two users with short histories (one hit at the top), two with long ones (one hit in second place)."""
    made = ranking([[3, 1], [1, 2], [0, 4], [4, 0]], [[0.5, 0.2]] * 4)
    sample = [Case("a", (0, 1), 3), Case("b", (0,), 4), Case("c", tuple(range(8)), 4), Case("d", tuple(range(7)), 5)]
    popularity = np.array([9, 8, 1, 5, 5, 1])
    ranks = gold_ranks(made.rows, np.array([c.target for c in sample]))
    parts = slices(made, ranks, sample, popularity)
    short, long = parts["by_history_length"]
    assert (short["slice"], short["users"], short["hit@10"], short["ndcg@10"]) == ("1 to 3", 2, 0.5, 0.5)
    assert (long["slice"], long["users"]) == ("6 to 10", 2)
    assert long["ndcg@10"] == pytest.approx(0.5 / math.log2(3))
    assert sum(s["users"] for s in parts["by_target_popularity"]) == 4


def test_popularity_bias_by_hand():
    popularity = np.arange(20, 0, -1)  # the head, a tenth, is items 0 and 1
    made = ranking([[0, 1], [5, 0]], [[0.5, 0.5], [0.5, 0.5]])
    bias = popularity_bias(made, np.array([0, 7]), popularity)
    assert bias == {"head_share_of_answers": 0.75, "head_share_of_targets": 0.5}


def test_calibration_tells_the_honest_from_the_boastful():
    rng = np.random.default_rng(0)
    said = rng.uniform(0, 1, (4000, 1))
    targets = np.zeros(4000, dtype=int)
    rows = np.where(rng.uniform(size=(4000, 1)) < said, 0, 1)
    assert calibration(ranking(rows, said), targets)["error"] < 0.03
    assert calibration(ranking(rows, np.full_like(said, 0.99)), targets)["error"] > 0.4


def test_semantic_accuracy_credits_the_code_whatever_the_category():
    semantic = np.array([[0, 1], [0, 1], [2, 2]])
    ranked, targets = np.array([[1, 2], [-1, 0]]), np.array([0, 1])
    assert semantic_accuracy(ranked, targets, semantic)["hit@1"] == 0.5
    assert semantic_accuracy(ranked, targets, semantic)["hit@5"] == 1.0
    assert accuracy(gold_ranks(ranked, targets))["hit@5"] == 0.0
    assert semantic_accuracy(ranked, targets, semantic[:, :0]) == {}


# -- paired comparison -------------------------------------------------------------------------------------------------


def test_the_interval_of_a_ratio_covers_it():
    """Known hit rates .3 and .2: the interval holds 1.5 in most repetitions, and is narrower with more users."""
    covered, widths = 0, {500: [], 4000: []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for users, width in widths.items():
            left, right = (rng.random((1, users)) < 0.3).astype(float), (rng.random((1, users)) < 0.2).astype(float)
            result = bootstrap_ratio(left, right, resamples=300, seed=seed)
            assert result["low"] <= result["ratio"] <= result["high"]
            width.append(result["high"] - result["low"])
            covered += users == 4000 and result["low"] <= 1.5 <= result["high"]
    assert covered >= 16
    assert np.mean(widths[4000]) < 0.6 * np.mean(widths[500])


def test_a_side_against_itself_is_one():
    hits = (np.random.default_rng(0).random((3, 200)) < 0.2).astype(float)
    assert bootstrap_ratio(hits, hits, resamples=50) == {"ratio": 1.0, "low": 1.0, "high": 1.0}


def test_no_hit_to_compare_with_is_told():
    with pytest.raises(MindRecError, match="no hit at all"):
        bootstrap_ratio(np.ones((1, 5)), np.zeros((1, 5)))


def test_checkpoints_are_compared_on_the_same_cases(twins, chain_data):
    result = compare_checkpoints([twins[0]], [twins[1]], chain_data, Protocol(users=50, settings={"evidence": "only"}))
    assert result["users"] == 50
    assert result["ratio"]["hit@1"]["ratio"] == pytest.approx(1.0)  # evidence only: the dense part, which both share
    assert result["left"][0]["objective"] == "diffusion"
    assert result["right"][0]["objective"] == "ar"
    with pytest.raises(MindRecError, match="one a seed"):
        compare_checkpoints([twins[0]], [], chain_data)


def test_comparators_stand_in_one_table(twins, chain_data):
    """Each row is what a run of that decoder gives by itself; the twin's are its own."""
    protocol = Protocol(users=40, device="cpu")
    names = ["popularity", "covisit", "dense", *DECODED]
    table = evaluate_checkpoint(twins[0], chain_data, protocol, baselines=names, twin=twins[1])["baselines"]
    assert list(table) == [*names, "twin", "twin_evidence_off"]
    assert (table["one_pass"]["nfe"], table["left_to_right"]["nfe"]) == (1.0, pytest.approx(4.0, abs=1))
    for name, settings in DECODED.items():
        alone = evaluate_checkpoint(twins[0], chain_data, replace(protocol, settings=settings))["metrics"]
        assert table[name]["ndcg@10"] == pytest.approx(alone["ndcg@10"]), name
    alone = evaluate_checkpoint(twins[1], chain_data, replace(protocol, settings={"evidence": "off"}))["metrics"]
    assert table["twin_evidence_off"]["ndcg@10"] == pytest.approx(alone["ndcg@10"])
    with pytest.raises(MindRecError, match="one_pass"):
        evaluate_checkpoint(twins[0], chain_data, protocol, baselines=["best"])
