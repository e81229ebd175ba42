"""Diagnosis: the step, position, margin and cause of every loss where they are known by construction; the totals of a
trained checkpoint; files that survive an interruption; and the tables made of the cases."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Toy, toys
from typer.testing import CliRunner

from mindrec.data.splits import Case
from mindrec.decoding.beam_search import search
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis import case_pairs
from mindrec.diagnosis import cases as tables
from mindrec.diagnosis.cases import CAUSES, COLUMNS, Diagnosis, read_cases, summary, write_cases
from mindrec.diagnosis.track_gold import ItemFacts, diagnose
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.recording.recorder import gold_standing

ITEMS = {  # (category, sub-category, semantic ID): probability
    "a": ((0, 0, 0), 0.30),
    "b": ((0, 0, 1), 0.25),
    "c": ((0, 1, 0), 0.05),
    "d": ((0, 1, 1), 0.04),
    "e": ((1, 2, 0), 0.20),
    "f": ((1, 2, 1), 0.16),
}
NAMES = tuple(ITEMS)


def catalog(items: dict, n_categories: int = 2, exclude_seen: bool = False) -> Toy:
    codes = torch.tensor([codes for codes, _ in items.values()])
    p = torch.tensor([p for _, p in items.values()], dtype=torch.float64)
    return Toy(codes, tuple((codes.amax(0) + 1).tolist()), p, n_categories, exclude_seen)


def diagnosed(made: Toy, golds: str, *, history=(0,), k: int = 10, train=(), names=NAMES, **settings) -> pd.DataFrame:
    """The cases of some golds by name ("?" is unknown), indexed by name."""
    sample = [Case(g, tuple(history), names.index(g) if g != "?" else -1) for g in golds]
    config = DecodeConfig(**{"evidence": "off", "exclude_seen": made.exclude_seen} | settings)
    facts = ItemFacts.of(names, made.codes.numpy(), made.index.levels.categories, [np.array(t) for t in train])
    return (
        diagnose(made.oracle(), made.index, sample, config, facts, k=k)
        .set_index("user_id", drop=False)
        .rename_axis(None)
    )


def fate(case: pd.Series) -> tuple:
    """cause, died_step, died_level, with None for "none"."""
    return tuple(None if pd.isna(case[key]) else case[key] for key in ("cause", "died_step", "died_level"))


# -- known by construction ---------------------------------------------------------------------------------------------


def test_greedy_loses_each_item_where_the_catalog_says():
    frame = diagnosed(catalog(ITEMS), "abcdef", beam_size=1)
    assert fate(frame.loc["a"]) == (None, None, None)
    assert fate(frame.loc["b"]) == ("sibling", 3, 2)
    assert fate(frame.loc["c"]) == fate(frame.loc["d"]) == ("early_category", 2, 1)
    assert fate(frame.loc["e"]) == fate(frame.loc["f"]) == ("early_category", 1, 0)
    want = {"b": 0.30 / 0.25, "c": 0.55 / 0.09, "d": 0.55 / 0.09, "e": 0.64 / 0.36, "f": 0.64 / 0.36}
    for name, ratio in want.items():
        assert frame.margin[name] == pytest.approx(math.log(ratio), abs=1e-12)
    assert math.isnan(frame.margin["a"])
    assert frame.gold_beams["c"].tolist() == [1, 1, 0, 0]
    assert frame.gold_best_rank["c"].tolist() == [0, 0, -1, -1]
    assert frame.levels_passed["c"].tolist() == [True, False, False]
    assert frame.levels_passed["a"].all()
    entropy = -sum(p * math.log(p) for p in (0.64, 0.36))
    assert frame.entropy.to_numpy() == pytest.approx([entropy] * 6)
    assert frame.top_probability.to_numpy() == pytest.approx([0.30] * 6)
    assert set(frame.top_item) == {"a"}


def test_cut_when_another_category_takes_every_place():
    """Two beams reach the last step, one a sub-category; both places go to items of the other sub-category."""
    frame = diagnosed(catalog(ITEMS), "be", beam_size=2)
    assert fate(frame.loc["b"]) == (None, None, None)
    assert frame.gold_rank["b"] == 1
    assert frame.gold_best_rank["b"].tolist() == [0, 0, 0, 1]
    assert fate(frame.loc["e"]) == ("cut", 3, 2)
    assert frame.margin["e"] == pytest.approx(math.log(0.25 / 0.20))
    assert frame.gold_best_rank["e"].tolist() == [0, 1, 1, -1]


def test_without_categories_no_beam_is_a_sibling():
    assert set(diagnosed(catalog(ITEMS, n_categories=0), "bcdef", beam_size=1).cause) == {"cut"}


def test_outranked_unknown_and_excluded():
    frame = diagnosed(catalog(ITEMS, exclude_seen=True), "b?d", history=(3,), beam_size=6, k=1)
    assert fate(frame.loc["b"]) == ("outranked", None, None)
    assert fate(frame.loc["?"]) == ("unknown", 0, None)
    assert fate(frame.loc["d"]) == ("excluded", 0, None)
    assert pd.isna(frame.gold["?"])
    assert frame.gold_beams["d"].sum() == 0
    assert not frame.levels_passed["d"].any()
    assert not frame[["hit@1", "hit@5", "hit@10"]].loc["?"].any()
    banned = diagnosed(catalog(ITEMS), "bd", beam_size=6, forbid_items=(1,), pins=((0, 0),))
    assert banned.cause.fillna("hit").tolist() == ["excluded", "hit"]
    assert diagnosed(catalog(ITEMS), "e", beam_size=6, pins=((0, 0),)).cause["e"] == "excluded"


def test_a_capped_search_never_proposes():
    frame = diagnosed(catalog(ITEMS), "abe", beam_size=1, algorithm="published")
    assert frame.cause.fillna("hit").tolist() == ["hit", "not_proposed", "not_proposed"]
    assert frame.died_level.fillna(-1).tolist() == [-1, 2, 0]
    assert frame.margin.isna().all()


def test_a_complete_answer_that_later_beams_push_out():
    """c1=0 holds one item: complete after step 1, it is cut at step 2, while the others reveal the sub-category."""
    made = catalog({"a": ((0, 0, 0), 0.30), "b": ((1, 1, 0), 0.36), "c": ((1, 2, 0), 0.17), "d": ((1, 2, 1), 0.17)})
    frame = diagnosed(made, "a", beam_size=2, names=tuple("abcd"))
    assert fate(frame.loc["a"]) == ("early_category", 2, 1)
    assert frame.margin["a"] == pytest.approx(math.log(0.34 / 0.30))
    assert frame.gold_beams["a"].tolist() == [1, 1, 0, 0]
    assert not frame.levels_passed["a"][1]


@pytest.mark.parametrize(("steps", "step"), [(1, 1), (2, 2)])
def test_several_positions_a_step_are_lost_at_the_first_wrong_one(steps, step):
    """One pass reveals all three positions, yet what it got wrong of b is the last, and of c the sub-category."""
    frame = diagnosed(catalog(ITEMS), "bce", beam_size=1, steps=steps)
    assert fate(frame.loc["b"]) == ("sibling", step, 2)
    assert fate(frame.loc["c"]) == ("early_category", step, 1)
    assert fate(frame.loc["e"]) == ("early_category", 1, 0)
    assert frame.levels_passed["b"].tolist() == [True, True, False]


def test_the_level_follows_the_order_not_the_step():
    """Semantic ID first: an item is lost there at step 1, and its category kept is no category lost."""
    made = catalog({n: ((c[0], c[1], c[2]), p) for n, (c, p) in ITEMS.items()}, n_categories=2)
    seed = next(s for s in range(50) if torch.randperm(3, generator=torch.Generator().manual_seed(s)).argmax() == 2)
    frame = diagnosed(made, "bf", beam_size=1, order="random", seed=seed)
    assert fate(frame.loc["b"]) == fate(frame.loc["f"]) == ("cut", 1, 2)
    levels = tables.survival_by_level(frame)
    assert levels.users.tolist() == [0, 0, 2]
    assert levels.lost.tolist() == [0, 0, 2]


@pytest.mark.parametrize("expansion", ["partition", "joint"])
@settings(max_examples=15)
@given(
    case=toys(),
    beams=st.integers(1, 3),
    order=st.sampled_from(["coarse_to_fine", "confidence", "left_to_right"]),
    steps=st.sampled_from([None, None, 1, 2]),
)
def test_gold_standing_is_what_counting_one_by_one_gives(expansion, case, beams, order, steps):
    made, histories = case
    steps = None if expansion == "joint" else steps
    config = DecodeConfig(
        evidence="off", exclude_seen=made.exclude_seen, beam_size=beams, order=order, expansion=expansion, steps=steps
    )
    pairs = [(u, g) for u in range(len(histories)) for g in range(made.n_items)]
    users, golds = torch.tensor(pairs).T
    for step in search(made.oracle(), made.index, histories, config):
        standing, margin = gold_standing(made.index, step, users, golds)
        for n, (user, gold) in enumerate(pairs):
            want = made.codes[gold]
            mine = step.beams.user == user
            agree = [bool(((c < 0) | (c == want)).all()) for c in step.beams.codes]
            assert standing[:, n].tolist() == [a and bool(m) for a, m in zip(agree, mine, strict=True)]
            if step.candidates is None:
                assert margin[n] == -torch.inf
                continue
            c, everything = step.candidates, torch.arange(len(step.candidates.parent))
            scores = [
                float(score)
                for codes, score, parent in zip(c.codes(everything), c.score, c.parent, strict=True)
                if step.before.user[parent] == user and bool(((codes < 0) | (codes == want)).all())
            ]
            best = max((s for s in scores if math.isfinite(s)), default=-math.inf)
            assert float(margin[n]) == float(step.beams.score[mine].min()) - best


@settings(max_examples=10)
@given(case=toys(max_items=8), beams=st.integers(1, 3), expansion=st.sampled_from(["partition", "joint"]))
def test_every_case_has_a_whole_story(case, beams, expansion):
    made, (history, _) = case
    names = tuple(f"i{n}" for n in range(made.n_items))
    sample = [Case(name, tuple(history), row) for row, name in enumerate(names)]
    config = DecodeConfig(evidence="off", exclude_seen=made.exclude_seen, beam_size=beams, expansion=expansion)
    facts = ItemFacts.of(names, made.codes.numpy(), made.index.levels.categories, [])
    frame = diagnose(made.oracle(), made.index, sample, config, facts)
    assert (frame.cause.isna() == frame.gold_rank.notna()).all()
    assert (frame.died_step.isna() == frame.gold_rank.notna()).all()
    for _, row in frame.iterrows():
        excluded = made.exclude_seen and row.gold in [names[r] for r in history]
        assert (row.cause == "excluded") == excluded
        alive = row.gold_beams > 0
        assert (alive == (row.gold_best_rank >= 0)).all()
        assert (np.diff(alive.astype(int)) <= 0).all(), "what cannot become the gold never can again"
        if not excluded and pd.notna(row.died_step):
            assert alive.sum() == row.died_step
            assert not row.levels_passed[row.died_level]
            assert (row.cause == "early_category") == (row.died_level < made.n_categories)
    levels = tables.survival_by_level(frame)
    assert levels.lost.sum() == frame.died_level.notna().sum() == tables.lost_at(frame).lost.sum()


def test_facts_of_items():
    train = [[0, 1, 1], [0, 2]]
    frame = diagnosed(catalog(ITEMS), "abf", history=(1, 4), train=train)
    assert frame.item_popularity.tolist() == [2, 1, 0]
    assert frame.category_popularity.tolist() == [3, 3, 0]
    assert frame.cold_item.tolist() == [False, False, True]
    assert frame.repeated_category.tolist() == [True, True, True]
    assert diagnosed(catalog(ITEMS), "f", history=(1,)).repeated_category.tolist() == [False]
    flat = diagnosed(catalog(ITEMS, n_categories=0), "f")
    assert flat[["category_popularity", "repeated_category"]].isna().all(axis=None)
    assert frame.gold_path["f"].tolist() == [1, 2]
    assert frame.history_length.tolist() == [2, 2, 2]


# -- a trained checkpoint ----------------------------------------------------------------------------------------------

DECODER = {"beam_size": 2, "evidence": "off", "order": "confidence", "temperature": 5.0}


@pytest.fixture(scope="module")
def done(checkpoint, chain_data, tmp_path_factory):
    from mindrec.diagnosis.diagnose import diagnose_checkpoint

    out = tmp_path_factory.mktemp("diagnosed") / "cases.parquet"
    result = diagnose_checkpoint(
        checkpoint,
        chain_data,
        out,
        Protocol(settings=DECODER, device="cpu"),
        k=1,
        command="the command",
        progress=False,
    )
    return out, result


def test_totals_agree_with_evaluate(done, checkpoint, chain_data):
    from mindrec.evaluation.report import evaluate_checkpoint

    out, result = done
    cases = read_cases(out).cases
    metrics = evaluate_checkpoint(checkpoint, chain_data, Protocol(settings=DECODER, device="cpu"))["metrics"]
    for k in (1, 5, 10):
        assert cases[f"hit@{k}"].mean() == pytest.approx(metrics[f"hit@{k}"], abs=1e-12)
    assert result["users"] == len(cases) == len(chain_data.interactions)
    assert result["hits"] == cases["hit@1"].sum()
    assert 0 < result["misses"] == result["users"] - result["hits"] == sum(result["causes"].values())
    assert list(result["causes"]) == list(CAUSES)


def test_a_case_agrees_with_its_trace(done, recommender):
    diagnosis = read_cases(done[0])
    config = DecodeConfig.from_dict(diagnosis.about["decoder"])
    misses = diagnosis.cases[diagnosis.cases.died_step > 0].head(5)
    assert len(misses)
    for _, case in misses.iterrows():
        trace = recommender.recommend(list(case.history), config, target=case.gold).trace
        assert trace.gold.died_at == case.died_step
        assert trace.gold.margin == pytest.approx(case.margin, rel=1e-4)
        beams = [s.gold.beams for s in trace.steps]
        assert beams == case.gold_beams[: len(beams)].tolist()
        assert trace.results[0].probability == pytest.approx(case.top_probability, rel=1e-4)


def test_metadata_round_trip(done, recommender, chain_data, tmp_path):
    diagnosis = read_cases(done[0])
    assert diagnosis.about["checkpoint"] == {"name": "chain", "fingerprint": recommender.checkpoint.fingerprint}
    assert diagnosis.about["catalog"]["fingerprint"] == recommender.catalog.fingerprint
    assert diagnosis.about["decoder"] == replace(recommender.default_config, **DECODER).to_dict()
    users = len(chain_data.interactions)
    assert [diagnosis.about[k] for k in ("split", "seed", "k", "users", "command")] == [
        "test",
        0,
        1,
        users,
        "the command",
    ]
    assert list(diagnosis.cases) == list(COLUMNS)
    write_cases(tmp_path / "again.parquet", diagnosis.cases, diagnosis.about)
    again = read_cases(tmp_path / "again.parquet")
    assert again.about == diagnosis.about
    pd.testing.assert_frame_equal(again.cases, diagnosis.cases)
    fingerprints = {"checkpoint": recommender.checkpoint.fingerprint, "catalog": recommender.catalog.fingerprint}
    tables.check_belongs(diagnosis, **fingerprints)
    for what in fingerprints:
        with pytest.raises(MindRecError, match=f"of {what} .*this one is other"):
            tables.check_belongs(diagnosis, **fingerprints | {what: "other"})


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("mindrec.diagnosis.diagnose.CHUNK", 64)


def test_resume_equals_uninterrupted(done, checkpoint, chain_data, tmp_path, monkeypatch, small_chunks):
    import mindrec.diagnosis.diagnose as module

    out, work, decoded = tmp_path / "cases.parquet", module.diagnose, []

    def run(stop: int, **options):
        def counted(denoiser, index, part, *rest, **named):
            if len(decoded) == stop:
                raise KeyboardInterrupt
            decoded.append(len(part))
            return work(denoiser, index, part, *rest, **named)

        monkeypatch.setattr(module, "diagnose", counted)
        protocol = Protocol(settings=DECODER, device="cpu")
        fixed = {"protocol": protocol, "k": 1, "command": "the command", "progress": False}
        return module.diagnose_checkpoint(checkpoint, chain_data, out, **fixed | options)

    with pytest.raises(KeyboardInterrupt):
        run(stop=2)
    assert not out.exists()
    with pytest.raises(MindRecError, match=r"begun with k 1, this run has 5; .*without --resume"):
        run(stop=9, resume=True, k=5)
    run(stop=9, resume=True)
    whole, rest = divmod(len(chain_data.interactions), 64)
    assert decoded == [64] * whole + [rest]
    assert not out.with_name("cases.parquet.partial").exists()
    once = read_cases(done[0])
    pd.testing.assert_frame_equal(read_cases(out).cases, once.cases)
    assert read_cases(out).about == once.about


def test_the_command(checkpoint, chain_data, tmp_path):
    from mindrec.cli.main import app
    from mindrec.data.catalog import save_prepared

    save_prepared(chain_data, tmp_path / "data")
    paths = ["--checkpoint", checkpoint, "--data", tmp_path / "data", "--out", tmp_path / "cases.parquet"]
    rest = ["--json", tmp_path / "out.json", "--users", 30, "--decoder", "beam_size=2", "--device", "cpu"]
    ran = CliRunner().invoke(app, ["diagnose", *map(str, paths + rest)])
    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "out.json").read_text())
    assert {"users", "hits", "misses", "k", "causes"} <= set(result)
    words = f"{result['hits']} of 30 true items are among the first 10, {result['misses']} are missed: "
    assert words in ran.output
    assert f"{result['errors']['model']} by the model" in ran.output
    alone = CliRunner().invoke(app, ["diagnose", *map(str, [*paths, *rest[2:]]), "--json", "-"])
    assert json.loads(alone.stdout)["causes"] == result["causes"]
    assert (result["users"], result["k"]) == (30, 10)
    assert read_cases(tmp_path / "cases.parquet").about["decoder"]["beam_size"] == 2
    failed = CliRunner().invoke(app, ["diagnose", *map(str, paths), "--k", "0"])
    assert isinstance(failed.exception, MindRecError)


def test_a_file_of_another_kind_is_refused(tmp_path, done):
    with pytest.raises(MindRecError, match=r"is missing; .*diagnose"):
        read_cases(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(MindRecError, match="not a Parquet file"):
        read_cases(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(MindRecError, match="not written by"):
        read_cases(tmp_path / "other.parquet")


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def six():
    return diagnosed(catalog(ITEMS), "abcdef", beam_size=2, train=[[0, 1], [0, 4]])


def about(**other) -> dict:
    return {"catalog": {"name": "toy", "fingerprint": "x"}, "split": "test", "k": 10} | other


def test_summary_and_survival(six):
    assert summary(Diagnosis(six, about())) == {
        "users": 6,
        "hits": 2,
        "misses": 4,
        "k": 10,
        "causes": dict.fromkeys(CAUSES, 0) | {"early_category": 2, "cut": 2},
        "errors": {"search": 4, "model": 0, "none": 0},
    }
    steps = tables.survival_by_step(six)
    assert steps.alive.tolist() == [6, 6, 4, 2]
    assert steps.survival.tolist() == pytest.approx([1, 1, 4 / 6, 2 / 6])
    assert steps.best_rank.tolist() == pytest.approx([0, 2 / 6, 2 / 4, 1 / 2])
    assert ((steps.low <= steps.survival) & (steps.survival <= steps.high)).all()
    levels = tables.survival_by_level(six)
    assert levels[["users", "passed", "lost"]].to_numpy().tolist() == [[6, 6, 0], [6, 4, 2], [4, 2, 2]]
    assert tables.lost_at(six).to_numpy().tolist() == [[2, 1, 2], [3, 2, 2]]


def test_confusion(six):
    table = tables.confusion(six, 1, labels=["zero", "one", "two"])
    assert table[["gold", "recommended", "cases"]].to_numpy().tolist() == [[0, 0, 2], [1, 0, 2], [2, 0, 2]]
    assert table.gold_label.tolist() == ["zero", "one", "two"]
    assert table.share.tolist() == [1, 1, 1]
    with pytest.raises(MindRecError, match="level 2 is not a category level"):
        tables.confusion(six, 2)


def test_slices_hold_every_case_once(six):
    table = tables.slices(six, "item_popularity")
    assert table[["lowest", "highest", "users", "hits"]].to_numpy().tolist() == [
        [0, 0, 3, 0],
        [1, 1, 2, 1],
        [2, 2, 1, 1],
    ]
    cold = tables.slices(six, "cold_item")
    assert cold[["lowest", "users", "hits"]].to_numpy().tolist() == [[0, 3, 2], [1, 3, 0]]
    many = pd.concat([six] * 50).assign(entropy=np.arange(300.0))
    table = tables.slices(many, "entropy", bins=5)
    assert table.users.tolist() == [60] * 5
    assert (table.lowest[1:].to_numpy() > table.highest[:-1].to_numpy()).all()
    assert table.ndcg.mean() == pytest.approx(tables.ndcg(many, 10).mean())
    assert (table.p == 1).all()  # all slices hit alike
    uneven = many.assign(gold_rank=pd.array([0] * 60 + [None] * 240, dtype="Int64"))
    parts = tables.slices(uneven, "entropy", bins=5, popular=[uneven.top_item.iloc[0]])
    assert parts.p[0] < 1e-40
    assert parts.ndcg.tolist() == [1, 0, 0, 0, 0]
    assert parts.p[1] == pytest.approx(tables.slices(uneven, "entropy", bins=5).p[4])
    assert parts.popular.tolist() == pytest.approx([(six.top_item == six.top_item.iloc[0]).mean()] * 5)
    with pytest.raises(MindRecError, match="slice by 'colour'"):
        tables.slices(six, "colour")


def test_calibration(six):
    table = tables.calibration(six)
    assert table[["users", "hits"]].to_numpy().tolist() == [[6, 1]]
    assert table.probability[0] == pytest.approx(0.30)


def test_wilson_is_the_textbook_interval():
    low, high = tables.wilson(np.array([0, 5, 10]), np.array([10, 10, 10]))
    assert low == pytest.approx([0, 0.2366, 0.7225], abs=1e-4)
    assert high == pytest.approx([0.2775, 0.7634, 1], abs=1e-4)


def test_tables_of_no_case_are_empty_not_errors(six):
    none = six[:0]
    for table in (
        tables.survival_by_step(none),
        tables.survival_by_level(none),
        tables.lost_at(none),
        tables.confusion(none, 0),
        tables.calibration(none),
        *(tables.slices(none, by) for by in tables.SLICES),
    ):
        assert len(table) == 0
    assert tables.causes(none).misses.sum() == 0


def test_compare_pairs_cases_and_finds_the_flips(six):
    greedy = diagnosed(catalog(ITEMS), "fedcba", beam_size=1)
    compared = case_pairs.compare(Diagnosis(greedy, about()), Diagnosis(six, about()))
    assert compared.cases == 6
    tests = compared.tests.set_index("measure")
    assert tests.loc["hit@10", ["only_left", "only_right", "p"]].tolist() == [0, 1, 1.0]
    assert tests.difference["hit@10"] == pytest.approx(1 / 6)
    assert tests.left["mrr"] == pytest.approx(1 / 6)
    assert tests.right["mrr"] == pytest.approx(1.5 / 6)
    flip = compared.flipped.iloc[0]
    assert (flip.user_id, flip.better, flip.left_cause, flip.right_rank) == ("b", "right", "sibling", 1)
    assert len(compared.flipped) == 1
    same = case_pairs.compare(Diagnosis(six, about()), Diagnosis(six, about()))
    assert (same.tests.p == 1).all()
    assert same.flipped.empty
    with pytest.raises(MindRecError, match="split"):
        case_pairs.compare(Diagnosis(six, about()), Diagnosis(six, about(split="validation")))
    with pytest.raises(MindRecError, match="share no case"):
        case_pairs.compare(Diagnosis(six[:2], about()), Diagnosis(six[3:], about()))


def test_transitions_count_every_paired_case_once_and_runs_stand_side_by_side(six):
    greedy = diagnosed(catalog(ITEMS), "fedcba", beam_size=1)
    runs = {"one": Diagnosis(greedy, about()), "two": Diagnosis(six, about())}
    went = case_pairs.transitions(*runs.values())
    assert went.cases.sum() == 6
    assert went.set_index(["left", "right"]).cases["sibling", "hit"] == 1
    for side, cases in (("left", greedy), ("right", six)):
        counted = went.groupby(side).cases.sum()
        assert {c: n for c, n in counted.items() if n} == cases.cause.fillna("hit").value_counts().to_dict()
    beside = case_pairs.side_by_side(runs).set_index("run")
    assert beside.rate.tolist() == pytest.approx([1 / 6, 2 / 6])
    assert beside[["rate", *CAUSES]].sum(axis=1).tolist() == pytest.approx([1, 1])


def test_the_command_sets_tables_side_by_side(six, tmp_path):
    from typer.testing import CliRunner

    from mindrec.cli.main import app

    greedy = diagnosed(catalog(ITEMS), "fedcba", beam_size=1)
    for name, cases in (("one", greedy), ("two", six), ("three", six)):
        tables.write_cases(tmp_path / f"{name}.parquet", cases, about())
    files = [str(tmp_path / f"{name}.parquet") for name in ("one", "two", "three")]
    ran = CliRunner().invoke(app, ["compare-cases", *files, "--json", "-"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert [run["rate"] for run in result["runs"]] == pytest.approx([1 / 6, 2 / 6, 2 / 6])
    assert [sum(move["cases"] for move in pair["transitions"]) for pair in result["pairs"]] == [6, 6]
    ran = CliRunner().invoke(app, ["compare-cases", *files[:2]])
    assert "lost to a sibling to hit 1" in " ".join(ran.output.split())
    assert CliRunner().invoke(app, ["compare-cases", files[0]]).exit_code != 0


def test_p_values_are_the_textbook_ones():
    """12 flips one way and 3 the other: the exact sign test gives 2 * P(Bin(15, 1/2) <= 3)."""
    one = diagnosed(catalog(ITEMS), "ab", beam_size=1)
    left = pd.concat([one.loc[["a"]]] * 12 + [one.loc[["b"]]] * 3).assign(gold="a")
    right = pd.concat([one.loc[["b"]]] * 12 + [one.loc[["a"]]] * 3).assign(gold="a")
    left["user_id"] = right["user_id"] = [f"u{n}" for n in range(15)]
    tests = case_pairs.compare(Diagnosis(left, about()), Diagnosis(right, about()), k=1).tests.set_index("measure")
    assert tests.p["hit@1"] == pytest.approx(2 * sum(math.comb(15, n) for n in range(4)) / 2**15)
    assert 0.01 < tests.p["mrr"] < 0.05


def test_export_matches_the_table(done, tmp_path):
    diagnosis = read_cases(done[0])
    for name in ("cases.csv", "cases.jsonl", "cases.parquet"):
        tables.export(diagnosis, tmp_path / name)
    rows = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    table = pd.read_csv(tmp_path / "cases.csv")
    assert len(rows) == len(table) == len(diagnosis.cases)
    assert list(table) == list(rows[0]) == list(COLUMNS)
    for n in (0, 57, 199):
        case = diagnosis.cases.iloc[n]
        assert json.loads(table.history[n]) == rows[n]["history"] == list(case.history)
        assert json.loads(table.levels_passed[n]) == rows[n]["levels_passed"] == case.levels_passed.tolist()
        assert rows[n]["top_probability"] == pytest.approx(case.top_probability)
        assert table["hit@1"][n] == rows[n]["hit@1"] == case["hit@1"]
    assert table.gold_rank.isna().equals(diagnosis.cases.gold_rank.isna())
    pd.testing.assert_frame_equal(read_cases(tmp_path / "cases.parquet").cases, diagnosis.cases)
    with pytest.raises(MindRecError, match=r"\.csv, \.parquet or \.jsonl"):
        tables.export(diagnosis, tmp_path / "cases.xls")
