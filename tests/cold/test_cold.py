"""Cold items: nothing old moves, codes are the nearest, and they are found by what their tokens say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import ours, refused

from mindrec.checkpoint import load_checkpoint
from mindrec.cold.add_items import add_items
from mindrec.cold.cold_evaluation import nearest_to_history
from mindrec.cold.cold_tokens import Codebook, predicted_vectors
from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, load_prepared, save_prepared
from mindrec.data.splits import Case, training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.sources.holdout import hold_out
from mindrec.tokens.semantic_id import quantise_product, quantise_residual
from mindrec.trace.records import DecodeTrace

NEW = (
    Item("new-a", "Item 7 again", ("L1.1", "L2.2")),
    Item("new-b", "Item 8 again", ("L1.1", "L2.2")),
    Item("new-c", "Nothing like it", ("Garden", "Rakes")),
)


# -- vectors to codes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantise", [quantise_residual, quantise_product])
def test_old_vectors_get_their_old_codes(quantise):
    """The centres read off the items are those that the codes were made with."""
    rng = np.random.default_rng(0)
    leaf = rng.integers(0, 3, 400)
    vectors = rng.standard_normal((400, 8)).astype(np.float32) * np.geomspace(3, 0.3, 8, dtype=np.float32)
    vectors += 10 * rng.standard_normal((3, 8)).astype(np.float32)[leaf]
    codes = quantise(vectors, leaf, 3, 6).codes
    book = Codebook.of(vectors, leaf, codes, [6, 6, 6])
    again = np.concatenate([book.assign(vectors[n : n + 1], leaf[n : n + 1], set()) for n in range(400)])
    agree = (again == codes).all(1).mean()
    assert agree > (0.98 if quantise is quantise_residual else 0.8), agree
    shuffled = np.random.default_rng(1).permutation(400)
    assert (again[shuffled] == codes).all(1).mean() < 0.2


def test_codes_stay_unique_until_none_is_left():
    vectors = np.zeros((2, 1), dtype=np.float32)
    leaf, codes = np.array([0, 1]), np.array([[0, 0], [0, 0]])
    book = Codebook.of(vectors, leaf, codes, [2, 2])
    taken = {(0, 0, 0), (1, 0, 0)}
    new = book.assign(np.zeros((3, 1), dtype=np.float32), np.array([0, 0, 0]), taken)
    assert len(np.unique(np.r_[codes[:1], new], axis=0)) == 4
    with pytest.raises(MindRecError, match=r"holds all 4 items.*--sid-levels or --codebook-size"):
        book.assign(np.zeros((1, 1), dtype=np.float32), np.array([0]), taken)


def test_a_vector_comes_from_the_likest_texts():
    texts = [f"red lamp {n}" for n in range(20)] + [f"blue sofa {n}" for n in range(20)]
    vectors = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)
    predicted = predicted_vectors(texts, vectors, ["a red lamp", "blue sofa bed", "zzz"])
    assert np.allclose(predicted, [[1, 0], [0, 1], [0.5, 0.5]], atol=1e-6)

    def letters(given):
        return np.array([[t.startswith("r"), t.startswith("b")] for t in given], dtype=np.float32)

    assert np.allclose(predicted_vectors(texts, vectors, ["rrr", "bbb"], letters), np.eye(2))


# -- a checkpoint grows ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def added(recommender):
    return add_items(recommender.checkpoint, NEW)


@pytest.fixture(scope="module")
def grown(added, tmp_path_factory):
    """The checkpoint with three cold items, saved and opened again."""
    folder = tmp_path_factory.mktemp("grown") / "chain"
    added.checkpoint.save(folder)
    return Recommender.from_pretrained(folder, "cpu")


def test_old_weights_and_codes_stay(recommender, grown):
    n = len(recommender.catalog)
    assert np.array_equal(grown.tokenizer.codes[:n], recommender.tokenizer.codes)
    assert grown.tokenizer.levels == recommender.tokenizer.levels
    assert len(np.unique(grown.tokenizer.codes, axis=0)) == n + 3
    new = dict(grown.denoiser.named_parameters())
    for name, old in recommender.denoiser.named_parameters():
        assert torch.equal(new[name][:n] if name.startswith("item_") else new[name], old), name
    assert not new["item_embedding.weight"][n:].any()
    assert new["item_bias"][n:].tolist() == pytest.approx([new["item_bias"][:n].mean().item()] * 3)


def test_marks_survive_saving(recommender, grown):
    n = len(recommender.catalog)
    assert grown.checkpoint.cold == 3
    assert [grown.is_cold(row) for row in (0, n - 1, n, n + 2)] == [False, False, True, True]
    assert not recommender.checkpoint.cold
    twice = add_items(grown.checkpoint, [Item("later", "Later", ("L1.0",))]).checkpoint
    assert twice.cold == 4


def test_a_known_path_is_kept_and_an_unknown_one_is_filed_and_told(added):
    items = added.checkpoint.catalog.items
    assert items[-3].categories == items[-2].categories == ("L1.1", "L2.2")
    assert added.refiled == ("new-c",)
    old = added.checkpoint.catalog.items[:-3]
    assert items[-1].categories in {i.categories for i in old}
    assert items[-1].title == "Nothing like it"


@pytest.mark.parametrize("order", ["coarse_to_fine", "confidence"])
def test_without_the_cold_items_every_answer_is_the_old_one(recommender, grown, order):
    n = len(recommender.catalog)
    for history in (["i3"], ["i5", "i9", "i20"]):
        before = recommender.recommend(history, DecodeConfig(beam_size=8, order=order))
        after = grown.recommend(history, DecodeConfig(beam_size=8, order=order, forbid_items=(n, n + 1, n + 2)))
        assert [r.item for r in after.items] == [r.item for r in before.items]
        assert [r.score for r in after.items] == pytest.approx([r.score for r in before.items], abs=1e-5)


def test_cold_items_are_decoded_marked_and_read_as_history(grown):
    n = len(grown.catalog) - 3
    only = DecodeConfig(beam_size=5, forbid_items=tuple(range(n)))
    answer = grown.recommend(["i3", "new-a"], only)
    assert {r.item.item_id for r in answer.items} == {"new-b", "new-c"}
    trace = DecodeTrace.from_json(answer.trace.to_json())
    cold = {item.item_id: item.cold for item in trace.items}
    assert cold["new-b"]
    assert cold["new-a"]
    assert not cold["i3"]
    everything = grown.recommend(["i3"], DecodeConfig(beam_size=100))
    assert {"new-a", "new-b", "new-c"} <= {r.item.item_id for r in everything.items}


def test_a_llada_grows_too(chain_data, tmp_path):
    """It knows items by their tokens alone, so all its weights are shared."""
    from mindrec.checkpoint import Checkpoint
    from mindrec.text_backbone.tuning_presets import llada_preset
    from mindrec.text_backbone.tuning_run import Base, make_denoiser
    from mindrec.training.starting import make_tokenizer

    recipe = llada_preset("tiny")
    tokenizer = make_tokenizer(chain_data, recipe)
    denoiser = make_denoiser(chain_data, recipe, tokenizer, Base()).eval()
    decode = DecodeConfig(beam_size=4, evidence="off")
    old = Recommender(Checkpoint("l", denoiser, tokenizer, chain_data.catalog, decode))
    add_items(old.checkpoint, NEW).checkpoint.save(tmp_path / "l")
    new = Recommender.from_pretrained(tmp_path / "l", "cpu")
    n = len(old.catalog)
    before = old.recommend(["i3", "i7"])
    after = new.recommend(["i3", "i7"], replace(decode, forbid_items=(n, n + 1, n + 2)))
    assert [(r.item, round(r.score, 4)) for r in after.items] == [(r.item, round(r.score, 4)) for r in before.items]
    only = new.recommend(["i3", "new-a"], replace(decode, forbid_items=tuple(range(n))))
    assert {r.item.item_id for r in only.items} == {"new-b", "new-c"}


def test_refusals(recommender):
    with pytest.raises(MindRecError, match="no items to add"):
        add_items(recommender.checkpoint, [])
    with pytest.raises(MindRecError, match="'i3' is in checkpoint 'chain' already"):
        add_items(recommender.checkpoint, [NEW[0], Item("i3", "Three")])
    flat = [Item(f"n{n}", f"New {n}", ("L1.1", "L2.2")) for n in range(100)]
    with pytest.raises(MindRecError, match="already holds all 64 items"):
        add_items(recommender.checkpoint, flat)


def test_a_lift_shows_cold_items_more_and_moves_no_other(recommender, grown):
    n, history = len(recommender.catalog), [3, 4]
    lifted = Recommender(add_items(recommender.checkpoint, NEW, lift=2.0).checkpoint)
    logits = [r.denoiser.item_logits(r.denoiser.encode([history]))[0] for r in (grown, lifted)]
    assert torch.allclose(logits[0][:n], logits[1][:n], atol=1e-5)
    assert torch.allclose(logits[0][n:] + 2, logits[1][n:], atol=1e-5)
    for lift in (-1, 11, float("nan")):
        with pytest.raises(MindRecError, match=r"--lift .* 0..10"):
            add_items(recommender.checkpoint, NEW, lift=lift)


def test_a_damaged_mark_is_refused(grown, tmp_path):
    for cold in (-1000, 10**9, "x", None):
        grown.checkpoint.save(tmp_path / "c")
        about = json.loads((tmp_path / "c" / "catalog.json").read_text())
        (tmp_path / "c" / "catalog.json").write_text(json.dumps(about | {"cold": cold}))
        with pytest.raises(MindRecError, match=r"catalog.json is damaged"):
            load_checkpoint(tmp_path / "c", "cpu")


# -- held out and measured ---------------------------------------------------------------------------------------------


def cycle_of_kinds(n_users=40, kinds=12, each=10, split=None) -> PreparedData:
    """Walks in which the next kind follows from the last, and any item of it may be the one: tokens alone tell it."""
    rng = np.random.default_rng(0)
    items = tuple(
        Item(f"{k}-{n}", f"kind{k} thing{n}", (f"Top {k % 3}", f"Kind {k}")) for k in range(kinds) for n in range(each)
    )
    starts = rng.integers(kinds, size=n_users)
    rows = [
        np.array([(s + step) % kinds * each + rng.integers(each) for step in range(9)], dtype=np.int32) for s in starts
    ]
    users = tuple(f"u{n}" for n in range(n_users))
    return PreparedData(Catalog(items, "kinds"), Interactions(users, rows, len(items), split))


def test_held_out_items_are_nowhere():
    data = cycle_of_kinds()
    warm = hold_out(data, 0.2)
    assert len(warm.catalog) == 96
    assert hold_out(data, 0.2).catalog == warm.catalog
    assert hold_out(data, 0.2, seed=1).catalog != warm.catalog
    known = {item.item_id for item in warm.catalog.items}
    for user, rows in zip(warm.interactions.user_ids, warm.interactions.sequences, strict=True):
        before = data.interactions.sequences[data.interactions.user_ids.index(user)]
        ids = [data.catalog.items[r].item_id for r in before]
        assert [warm.catalog.items[r].item_id for r in rows] == [i for i in ids if i in known]
    for share in (0, 1, -0.1, 1.5, 0.001, 0.999):
        with pytest.raises(MindRecError, match="--hold-out"):
            hold_out(data, share)


def test_held_out_keeps_splits_and_own_codes():
    split = ("train", "train", "train", "validation", "test", "test")
    data = cycle_of_kinds(6, split=split)
    data = replace(data, semantic_ids={item.item_id: ("a", item.item_id) for item in data.catalog.items})
    warm = hold_out(data, 0.1)
    assert warm.interactions.split == split
    assert set(warm.semantic_ids) == {item.item_id for item in warm.catalog.items}
    assert len(training_sequences(warm.interactions)) == 3


def test_nearest_to_history_by_hand():
    texts = ["red lamp", "red lamp big", "blue sofa", "blue sofa big", "green chair"]
    cases = [Case("a", (0,), 1), Case("b", (0, 2), 3)]
    ranked = nearest_to_history(texts, cases, k=3)
    assert ranked[0][0] == 1
    assert ranked[1].tolist()[:2] == [3, 1], "the recent item weighs more"
    assert nearest_to_history(texts, cases, forbidden=[1, 3], k=1)[0][0] in (2, 4)
    assert nearest_to_history(texts, cases, exclude_seen=False, k=1).ravel().tolist() == [0, 2]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Data with items held out, a checkpoint trained without them, and what `evaluate --cold` says of it."""
    folder = tmp_path_factory.mktemp("cold")
    split = ("train",) * 400 + ("validation",) * 10 + ("test",) * 150
    save_prepared(cycle_of_kinds(560, split=split), folder / "whole")
    options = ("--path", folder / "whole", "--hold-out", "0.2", "--out", folder / "warm")
    assert ours("prepare", "jsonl", *options)[0] == 0
    code, _, err = ours(
        "train", "--data", folder / "warm", "--out", folder / "model", "--preset", "tiny", "--epochs", 12,
        "--item-dropout", "0.5", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    return folder


def test_cold_items_are_found_by_their_tokens(measured):
    """What a kind follows is in the tokens; the words of the history name the wrong kinds."""
    code, out, err = ours(
        "evaluate", "--cold", "--checkpoint", measured / "model", "--data", measured / "whole", "--device", "cpu",
        "--json", measured / "cold.json",
    )  # fmt: skip
    assert code == 0, err
    result = json.loads((measured / "cold.json").read_text())
    assert "cold items alone, cold targets" in out
    assert "want one of 24 cold items beside 96 trained ones" in out
    assert f"{result['metrics']['among_cold']['ndcg@10']:.4f} is above that of likeness of texts" in out
    assert result["items"] == {"trained": 96, "cold": 24}
    assert 15 < result["users"] < 50
    ours_, text = result["metrics"], result["baselines"]["tfidf"]
    assert ours_["among_cold"]["hit@10"] > 0.9
    assert ours_["among_all"]["hit@10"] > 2 * 10 / 120, "twice what chance gives"
    assert text["among_cold"]["hit@10"] < 0.7
    assert set(result["baselines"]) == {"dense", "tfidf"}
    assert "**24 of 120 items are held out**" in (measured / "warm" / "README.md").read_text()


def test_validation_chooses_the_lift_for_all_cases_as_they_come(measured):
    """A lift that shows new items alone is the best for those who want one, and the worst for everyone."""
    code, out, err = ours(
        "evaluate", "--cold", "--checkpoint", measured / "model", "--data", measured / "whole", "--device", "cpu",
        "--lift", "0,1,10", "--json", "-",
    )  # fmt: skip
    assert code == 0, err
    result = json.loads(out)
    tried = {one["lift"]: one for one in result["lifts_on_validation"]}
    assert list(tried) == [0.0, 1.0, 10.0]
    assert result["lift"] == max(tried, key=lambda lift: tried[lift]["ndcg@10"]) != 10
    assert tried[10.0]["ndcg@10"] < tried[0.0]["ndcg@10"]
    assert result["everyone"]["users"] == 150
    assert "is not a number" in refused(
        "evaluate", "--cold", "--checkpoint", measured / "model", "--data", measured / "whole", "--lift", "1;2"
    )


def test_cold_items_are_read_by_the_text_model_of_the_checkpoint(measured, tmp_path, monkeypatch):
    sizes = []

    def one_for_all(texts):
        sizes.append(len(texts))
        return np.ones((len(texts), 1), dtype=np.float32)

    monkeypatch.setattr("mindrec.text.text_search.text_embedder", lambda recorded: one_for_all)
    model = ("--checkpoint", measured / "model")
    code, _, err = ours("evaluate", "--cold", *model, "--data", measured / "whole", "--device", "cpu")
    assert code == 0, err
    assert sum(sizes) == 120
    (tmp_path / "new.csv").write_text("item_id,title\nx1,kind3 thing50\n")
    code, _, err = ours("add-items", *model, "--items", tmp_path / "new.csv", "--out", tmp_path / "grown")
    assert code == 0, err
    assert sum(sizes) == 120 + 97


def test_cold_needs_cold_items_and_their_own_data(measured):
    common = ("evaluate", "--cold", "--checkpoint", measured / "model", "--device", "cpu")
    assert "none is cold; `prepare --hold-out" in refused(*common, "--data", measured / "warm")
    other = cycle_of_kinds(n_users=5, kinds=3)
    save_prepared(other, measured / "other")
    assert "of the checkpoint" in refused(*common, "--data", measured / "other")
    assert "--baseline" in refused(*common, "--data", measured / "whole", "--baseline", "popularity")
    assert "give --cold" in refused(
        "evaluate", "--checkpoint", measured / "model", "--data", measured / "warm", "--lift", "1"
    )
    assert "--cold" in refused("evaluate", "--checkpoint", measured / "model", "--data", measured / "whole")


def test_add_items_from_a_table(measured, tmp_path):
    table, known = tmp_path / "new.csv", load_prepared(measured / "warm").catalog.items[0].item_id
    rows = ("sku,name,path", "x1,kind3 thing50,Top 0 > Kind 3", f"{known},known,Top 0", "x2,<b>kind4</b>,Top 9 > Rakes")
    table.write_text("\n".join(rows))
    arguments = ("--checkpoint", measured / "model", "--items", table, "--out", tmp_path / "grown")
    columns = ("--item-column", "sku", "--title-column", "name", "--category-columns", "path")
    code, out, err = ours("add-items", *arguments, *columns, "--category-separator", ">")
    assert code == 0, err
    assert "mended: html: 1" in out
    assert "left out: 1 items" in out
    assert "filed elsewhere: 1 items" in out
    code, out, _ = ours(
        "recommend", "--checkpoint", tmp_path / "grown", "--item", "kind2 thing1", "--item", "x1", "--decoder",
        "beam_size=100", "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    assert "(cold)" in out
    assert "cold: added after training" in out
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("wording,shelf\nkind3 thing50,Top 0\nkind4 thing51,Top 0\n")
    refusal = refused("add-items", *arguments[:2], "--items", nameless, "--out", tmp_path / "none")
    assert "item_id" in refusal
    assert not [p for p in tmp_path.iterdir() if p.name not in ("new.csv", "nameless.csv", "grown")]
    nameless.write_text(f"item_id,title\n {known} ,again\n")
    refusal = refused("add-items", *arguments[:2], "--items", nameless, "--out", tmp_path / "none")
    assert f"brings no items to add: all its 1 items are in the checkpoint already (first: {known}" in refusal
    assert not (tmp_path / "none").exists()
