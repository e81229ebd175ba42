"""What a customer has is known on every path, and a customer who has everything stops nobody else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import ours, refused

from mindrec.data.catalog import Interactions, Ragged, save_prepared
from mindrec.data.splits import Case, cases
from mindrec.diagnosis.cases import read_cases
from mindrec.diagnosis.diagnose import diagnose_checkpoint
from mindrec.errors import MindRecError
from mindrec.evaluation.baselines import rank_baseline
from mindrec.evaluation.evaluate import dense_ranking, rank
from mindrec.evaluation.paired import compare_checkpoints
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.jobs.recommend_job import recommend_many
from mindrec.training.running import Running


def with_sequences(data, sequences):
    """The same catalog; sequence n belongs to user u<n>."""
    users = tuple(f"u{n}" for n in range(len(sequences)))
    return replace(data, interactions=Interactions(users, Ragged.of(sequences), len(data.catalog)))


@pytest.fixture(scope="module")
def long_data(chain_data):
    """Fifty users with 25 different items and two more; the model reads ten."""
    rng = np.random.default_rng(5)
    return with_sequences(chain_data, [rng.permutation(len(chain_data.catalog))[:27] for _ in range(50)])


def histories_file(path, data, asked):
    ids = [[data.catalog.items[row].item_id for row in case.history] for case in asked]
    pq.write_table(pa.table({"user_id": [case.user_id for case in asked], "item_ids": ids}), path)
    return path


def test_every_path_gives_one_answer_for_long_histories(checkpoint, recommender, long_data, tmp_path):
    """recommend, recommend_many, recommend-many, evaluate's ranking and diagnose: what is owned is in none."""
    sample = cases(long_data.interactions, "test")
    assert min(len(set(case.history)) for case in sample) > 2 * recommender.max_history
    ids = [[long_data.catalog.items[row].item_id for row in case.history] for case in sample]
    batch = [[f.row for f in one.items] for one in recommender.recommend_many(ids, trace=False)]
    for case, rows in zip(sample, batch, strict=True):
        assert not set(rows) & set(case.history)
    assert [f.row for f in recommender.recommend(ids[7]).items] == batch[7]
    ranking = rank(recommender.denoiser, recommender.index, sample, recommender.default_config)
    assert [[r for r in rows if r >= 0] for rows in ranking.rows.tolist()] == batch
    recommend_many(checkpoint, histories_file(tmp_path / "h.parquet", long_data, sample), tmp_path / "r.parquet",
                   device="cpu", progress=False)  # fmt: skip
    table = pd.read_parquet(tmp_path / "r.parquet")
    from_file = {user: [long_data.catalog.row_of[i] for i in part.item_id] for user, part in table.groupby("user_id")}
    assert [from_file[case.user_id] for case in sample] == batch
    diagnose_checkpoint(checkpoint, long_data, tmp_path / "c.parquet", Protocol(device="cpu"), progress=False)
    diagnosed = read_cases(tmp_path / "c.parquet").cases
    assert diagnosed.top_item.tolist() == [long_data.catalog.items[rows[0]].item_id for rows in batch]


def test_the_app_shows_and_decodes_the_whole_history_of_a_trip(recommender, long_data, tmp_path):
    from app.tabs.handlers import Handlers
    from app.tabs.watching import Watching

    folder = tmp_path / "data"
    save_prepared(long_data, folder)
    handlers = Handlers({"chain": recommender}, data=folder)
    answer = {"waiting": True}
    while "waiting" in answer:
        answer = Watching(handlers).trip({"number": 3})
    ids = [item["id"] for item in answer["items"]]
    assert ids in [
        [long_data.catalog.items[r].item_id for r in c.history] for c in cases(long_data.interactions, "test")
    ]
    bundle = Watching(handlers).decode({"ids": ids})
    assert len(bundle["trace"].history) == len(ids) == 26


@pytest.fixture(scope="module")
def full_data(chain_data):
    """The first of 31 users has everything, again and again."""
    everything = list(range(len(chain_data.catalog)))
    return with_sequences(chain_data, [everything + everything[:3], *list(chain_data.interactions.sequences)[:30]])


def test_a_customer_who_has_everything_is_counted_and_left_out(checkpoint, chain_data, full_data, tmp_path):
    others = with_sequences(chain_data, list(chain_data.interactions.sequences)[:30])
    with_one, without = (
        evaluate_checkpoint(checkpoint, data, Protocol(device="cpu"), baselines=("popularity", "covisit", "dense"))
        for data in (full_data, others)
    )
    assert (with_one["users"], with_one["nothing_left"]) == (30, 1)
    assert (without["users"], without["nothing_left"]) == (30, 0)
    assert with_one["metrics"] == pytest.approx(without["metrics"])
    assert with_one["baselines"]["dense"] == pytest.approx(without["baselines"]["dense"])
    found = diagnose_checkpoint(checkpoint, full_data, tmp_path / "c.parquet", Protocol(device="cpu"), progress=False)
    assert (found["users"], found["nothing_left"]) == (30, 1)
    sample = cases(full_data.interactions, "test")
    counts = recommend_many(checkpoint, histories_file(tmp_path / "h.parquet", full_data, sample),
                            tmp_path / "r.parquet", device="cpu", progress=False)  # fmt: skip
    assert counts["nothing_left"] == 1
    served = pd.read_parquet(tmp_path / "r.parquet").user_id.unique().tolist()
    assert served == [case.user_id for case in sample[1:]]


def test_a_batch_that_holds_such_a_customer_answers_the_others(checkpoint, chain_data, full_data, recommender):
    """The validation of `train-llada` ranks whoever comes; forced positions are counted a beam."""
    sample = cases(full_data.interactions, "test")
    ranked, others = (
        rank(recommender.denoiser, recommender.index, some, recommender.default_config) for some in (sample, sample[1:])
    )
    assert (ranked.rows[0] == -1).all()
    assert ranked.rows[1:].tolist() == others.rows.tolist()
    assert ranked.forced == others.forced
    alone = rank(recommender.denoiser, recommender.index, sample[:1], recommender.default_config)
    assert (alone.rows == -1).all()
    assert alone.forced == 0


def test_compare_counts_such_a_customer_and_leaves_them_out(checkpoint, chain_data, full_data):
    """Not a miss of both sides, which would lower every measure."""
    others = with_sequences(chain_data, list(chain_data.interactions.sequences)[:30])
    with_one, without = (
        compare_checkpoints([checkpoint], [checkpoint], data, Protocol(device="cpu")) for data in (full_data, others)
    )
    assert (with_one["users"], with_one["nothing_left"]) == (30, 1)
    assert (without["users"], without["nothing_left"]) == (30, 0)
    for measure in ("hit@1", "hit@10", "ndcg@10"):
        assert with_one["left"][0][measure] == pytest.approx(without["left"][0][measure])
    assert with_one["ratio"]["hit@10"]["ratio"] == 1


def test_such_a_customer_is_served_where_seen_items_may_be_recommended(checkpoint, full_data):
    result = evaluate_checkpoint(checkpoint, full_data, Protocol(device="cpu", settings={"exclude_seen": False}))
    assert (result["users"], result["nothing_left"]) == (31, 0)


def test_training_goes_on_beside_such_customers(chain_data, tiny_preset, tmp_path):
    """A catalog smaller than what the model reads: their windows hold all of it, in training and in validation."""
    from mindrec.sources.synthetic import load
    from mindrec.training.run import train_checkpoint

    small = load(n_items=8, n_users=60, length=6)
    everything = [*range(8), *range(4)]
    data = with_sequences(small, [everything, *small.interactions.sequences])
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=1, epochs=1))
    done = train_checkpoint(data, recipe, tmp_path / "c", running=Running(device="cpu", progress=False))
    for value in done.denoiser.parameters():
        assert value.isfinite().all()
    assert all(np.isfinite(record[f"loss_{part}"]) for record in done.training["curve"] for part in ("dense", "token"))


def test_nobody_left_is_one_sentence(checkpoint, chain_data):
    everything = list(range(len(chain_data.catalog)))
    data = with_sequences(chain_data, [[*everything, *everything[:3]]] * 3)
    with pytest.raises(MindRecError, match=r"none of the 3 cases has an item left .* exclude_seen=false"):
        evaluate_checkpoint(checkpoint, data, Protocol(device="cpu"))


def test_a_catalog_of_one_item_is_refused_at_prepare(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "".join(f"u{n},a,{n}\n" for n in range(9)))
    line = refused("prepare", "csv", "--path", tmp_path / "log.csv", "--out", tmp_path / "out", look=True)
    assert "two or more" in line or "least" in line, line
    assert not (tmp_path / "out").exists()


# -- fewer answers than asked for --------------------------------------------------------------------------------------


def test_baselines_give_fewer_items_and_none_that_is_excluded(recommender):
    """Five items, four of them owned: one answer, the rest is -1."""
    train, case = [np.array([0, 1, 2, 3, 4])] * 2, Case("u", (0, 1, 2, 3), 2)
    for name in ("popularity", "covisit"):
        for ordered in (True, False):
            rows = rank_baseline(name, train, [case], 5, ordered=ordered, exclude_seen=True, k=4)
            assert rows.tolist() == [[4, -1, -1, -1]]
    n = len(recommender.catalog)
    owned = Case("u", tuple(range(n - 2)), 0)
    rows = dense_ranking(recommender.denoiser, [owned])[0]
    assert set(rows[:2].tolist()) == {n - 2, n - 1}
    assert set(rows[2:].tolist()) == {-1}


def test_text_likeness_gives_fewer_items_too():
    from mindrec.cold.cold_evaluation import nearest_to_history

    rows = nearest_to_history(["red tea", "green tea", "black tea"], [Case("u", (0, 1), 0)], k=3)
    assert rows.tolist() == [[2, -1, -1]]


def test_diagnose_refuses_what_it_does_not_follow(checkpoint, chain_data, tmp_path):
    folder = tmp_path / "data"
    save_prepared(chain_data, folder)
    code, _, err = ours("diagnose", "--checkpoint", checkpoint, "--data", folder, "--out", tmp_path / "c.parquet",
                        "--decoder", "rethink=true", "--device", "cpu")  # fmt: skip
    assert code == 2
    assert "rethink" in err
    assert not (tmp_path / "c.parquet").exists()
