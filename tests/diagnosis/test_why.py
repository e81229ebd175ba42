"""Why an item was lost: worlds in which the kind of error, the guilty item of the history and the cheapest rescue are
known by construction."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from toys import Toy, toy
from typer.testing import CliRunner

from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.pulls import pulls_on_items, pulls_on_path
from mindrec.decoding.without_beams import open_exact, score_of
from mindrec.diagnosis.cases import Diagnosis, read_cases, rescues, summary
from mindrec.diagnosis.kinds import ERRORS, NONE, RESCUES
from mindrec.diagnosis.rescue import changes
from mindrec.diagnosis.track_gold import ItemFacts, diagnose
from mindrec.diagnosis.why import Depth
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import rank
from mindrec.evaluation.metrics import gold_ranks
from mindrec.model.oracle import OracleDenoiser

CODES = {  # (category, semantic ID): probability
    "bread": (0, 0, 0.30),
    "rolls": (0, 1, 0.28),
    "milk": (1, 0, 0.20),
    "beer": (2, 0, 0.08),
    "wine": (2, 1, 0.07),
    "salt": (1, 1, 0.07),
}
NAMES = tuple(CODES)
SPOILER, FRIEND = "beer", "wine"


def world() -> tuple[Toy, OracleDenoiser]:
    """Beer in the history makes milk as good as impossible; wine makes it twice as likely."""
    codes = torch.tensor([values[:2] for values in CODES.values()])
    p = torch.tensor([values[2] for values in CODES.values()], dtype=torch.float64)
    made = Toy(codes, (3, 2), p, n_categories=1)

    def truth(history) -> torch.Tensor:
        likely = p.clone()
        likely[NAMES.index("milk")] *= 0.01 if NAMES.index(SPOILER) in history else 1.0
        likely[NAMES.index("milk")] *= 2.0 if NAMES.index(FRIEND) in history else 1.0
        likely[list(history)] = 0
        return likely / likely.sum()

    return made, OracleDenoiser(made.tokens, made.sizes, truth)


def looked_into(asked: dict[str, tuple[str, ...]], k: int, **settings) -> pd.DataFrame:
    """The cases of golds by name, each after a history by name."""
    made, oracle = world()
    rows = [Case(g, tuple(NAMES.index(h) for h in history), NAMES.index(g)) for g, history in asked.items()]
    facts = ItemFacts.of(NAMES, made.codes.numpy(), made.index.levels.categories, [])
    config = DecodeConfig(**{"evidence": "off"} | settings)
    frame = diagnose(oracle, made.index, rows, config, facts, k=k, depth=Depth(rescue=True))
    return frame.set_index("user_id", drop=False).rename_axis(None)


def test_beams_that_are_too_few_are_a_search_error_which_more_beams_undo():
    """Greedy takes bread's section; milk, second of all, is among the first two of any wider search."""
    case = looked_into({"milk": ("rolls",)}, k=2, beam_size=1).loc["milk"]
    assert (case.cause, case.error, case.exact_rank) == ("early_category", "search", 1)
    assert case.exact_probability == pytest.approx(0.20 / 0.72)
    assert (case.rescue, case.rescue_cost) == ("beam_size=2", 1)


def test_what_one_item_of_the_history_does_is_a_model_error_and_leaving_it_out_undoes_it():
    case = looked_into({"milk": (SPOILER, "bread", FRIEND)}, k=1, beam_size=6).loc["milk"]
    assert (case.cause, case.error, case.exact_rank) == ("outranked", "model", 2)
    assert {pull["item"]: pull["nats"] for pull in case.pulls} == pytest.approx(
        {
            SPOILER: math.log(0.004 / 0.354 / (0.40 / 0.75)),
            FRIEND: math.log(0.004 / 0.354 / (0.002 / 0.352)),
            "bread": math.log(0.654 / 0.354),  # left out, it may not come, yet its section looks fuller to the model
        }
    )
    case = looked_into({"milk": (SPOILER, "rolls", "bread")}, k=1, beam_size=6).loc["milk"]
    assert (case.cause, case.error, case.rescue, case.rescue_cost) == ("outranked", "model", f"without={SPOILER}", 4)
    strongest = case.pulls[0]
    p, rest = 0.002 / (0.002 + 0.07 + 0.07), 0.20 / (0.20 + 0.07 + 0.07 + 0.08)
    assert strongest["item"] == SPOILER
    assert strongest["nats"] == pytest.approx(math.log(p / rest))
    assert [pull["nats"] for pull in case.pulls[1:]] == pytest.approx([0, 0])


def test_an_item_that_nothing_saves():
    case = looked_into({"salt": ()}, k=1, beam_size=6).loc["salt"]
    assert (case.error, case.exact_rank, case.rescue) == ("model", 4, NONE)
    assert pd.isna(case.rescue_cost)


def test_hits_have_no_error_and_no_rescue_and_what_is_ruled_out_is_a_model_error_without_a_rescue():
    frame = looked_into({"bread": ("rolls",), "rolls": ("rolls",)}, k=1, beam_size=6)
    assert frame.loc["bread", ["error", "rescue"]].isna().all()
    assert frame.exact_rank["bread"] == 0
    assert frame.loc["rolls", ["cause", "error", "rescue", "exact_probability"]].tolist() == [
        "excluded",
        "model",
        NONE,
        0.0,
    ]
    assert frame.pulls["rolls"] == []


def test_settings_whose_scores_beams_define_have_no_kind_of_error():
    frame = looked_into({"milk": ("rolls",)}, k=2, beam_size=1, algorithm="published")
    assert frame.loc["milk", ["error", "exact_probability", "exact_rank"]].isna().all()
    assert summary(Diagnosis(frame, {"k": 2}))["errors"] == {"search": 0, "model": 0, "none": 1}


def test_the_quick_way_tells_the_same_kinds_of_error():
    made, oracle = world()
    rows = [Case(g, (NAMES.index("rolls"),), n) for n, g in enumerate(NAMES)]
    facts = ItemFacts.of(NAMES, made.codes.numpy(), made.index.levels.categories, [])
    for beams in (1, 2, 6):
        config = DecodeConfig(evidence="off", beam_size=beams)
        both = [
            diagnose(oracle, made.index, rows, config, facts, k=2, depth=Depth(ranks=ranks, pulls=False))
            for ranks in (True, False)
        ]
        assert both[0].error.tolist() == both[1].error.tolist()


# -- pulls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"guidance": 0.5}, {"order": "confidence", "evidence": "off"}])
def test_pulls_equal_separate_decodes(settings):
    made = toy((3, 3, 5), 40, n_categories=2, popularity=torch.arange(40))
    model, history, target = made.compact().double(), [4, 9, 17, 4, 30], 21
    config = DecodeConfig(**settings)
    explained = pulls_on_items(model, made.index, [history, [1], [2]], config, [target, -1, 2])
    assert explained[1] == explained[2] == []
    banned = replace(config, forbid_items=tuple(set(history)))

    def alone(rest: list[int]) -> float:
        return float(score_of(open_exact(model, made.index, [rest], banned), torch.tensor([target]))[0])

    for pull in explained[0]:
        rest = [row for row in history if row != pull.row]
        assert pull.nats == pytest.approx(alone(history) - alone(rest), abs=1e-6)
    assert sorted(pull.row for pull in explained[0]) == [4, 9, 17, 30]
    assert np.diff([abs(pull.nats) for pull in explained[0]]).max() <= 0


def test_pulls_on_a_path_add_up_its_tokens_and_a_whole_path_is_its_item():
    made = toy((3, 3, 5), 40, n_categories=2)
    model, history, target = made.compact().double(), [4, 9, 17], 21
    config = DecodeConfig(order="left_to_right")
    path = [(level, int(code)) for level, code in enumerate(made.codes[target])]
    whole = {p.row: p.nats for p in pulls_on_path(model, made.index, history, config, path)}
    steps = [pulls_on_path(model, made.index, history, config, path[: n + 1], last_only=True) for n in range(3)]
    for row, nats in whole.items():
        assert nats == pytest.approx(sum(p.nats for step in steps for p in step if p.row == row), abs=1e-9)
    item = {p.row: p.nats for p in pulls_on_items(model, made.index, [history], config, [target])[0]}
    assert whole == pytest.approx(item, abs=1e-6)


# -- rescues -----------------------------------------------------------------------------------------------------------


def test_changes_stand_by_cost_and_none_is_the_decode_itself():
    config = DecodeConfig(beam_size=20, guidance=0.25)
    every = changes(config, n_levels=7)
    assert [change.cost for change in every] == sorted(change.cost for change in every)
    assert all(change.config != config for change in every)
    wider = [change.name for change in every if change.name.startswith("beam_size")]
    assert wider == ["beam_size=40", "beam_size=80", "beam_size=100"]
    assert len({change.name for change in every}) == len(every)
    assert "steps=3" in {change.name for change in changes(replace(config, steps=2), 7)}


@pytest.mark.parametrize("settings", [{}, {"votes": 2, "temperature": 1.0}], ids=str)
def test_rescues_equal_those_of_plain_decodes(settings):
    """A search that stops where the item is lost, and changes left out as certain to fail, save the same cases."""
    made = toy((3, 3, 5), 40, n_categories=2, popularity=torch.arange(40))
    model, config, k = made.compact().double(), DecodeConfig(beam_size=4, guidance=0.25, **settings), 2
    cases = [Case(str(n), tuple((7 * n + m) % 40 for m in range(1 + n % 3)), (11 * n + 5) % 40) for n in range(12)]
    cases = [case for case in cases if case.target not in case.history]
    facts = ItemFacts.of([str(n) for n in range(40)], made.codes.numpy(), made.index.levels.categories, [])
    frame = diagnose(model, made.index, cases, config, facts, k=k, depth=Depth(rescue=True))

    def places(asked: list[Case], changed: DecodeConfig) -> list[int]:
        rows = rank(model, made.index, asked, changed).rows
        return gold_ranks(rows, np.array([case.target for case in asked])).tolist()

    saved = [[] for _ in cases]
    for change in changes(config, 3):
        for names, place in zip(saved, places(cases, change.config), strict=True):
            names += [change.name] if 0 <= place < k else []
    for case, names, rescue in zip(cases, saved, frame.rescue, strict=True):
        rests = [replace(case, history=tuple(r for r in case.history if r != row)) for row in case.history]
        left_out = places(rests, replace(config, forbid_items=case.history))
        near = [rank for rank in left_out if 0 <= rank < k]
        names += [f"without={row}" for row, p in zip(case.history, left_out, strict=True) if near and p == min(near)]
        assert pd.isna(rescue) or rescue == (names[0] if names else NONE)
    assert frame.rescue.nunique() > 2


def test_the_command_counts_errors_and_rescues_and_goes_on_where_it_was_cut_off(
    checkpoint, chain_data, tmp_path, monkeypatch
):
    import mindrec.diagnosis.diagnose as module
    from mindrec.cli.main import app
    from mindrec.data.catalog import save_prepared

    monkeypatch.setattr(module, "BATCH", 12)  # the size of a chunk with --rescue
    save_prepared(chain_data, tmp_path / "data")
    out = tmp_path / "cases.parquet"
    words = ["diagnose", "--checkpoint", checkpoint, "--data", tmp_path / "data", "--out", out, "--users", 24]
    words += ["--decoder", "beam_size=1", "--decoder", "evidence=off", "--decoder", "temperature=5"]
    words += ["--k", 1, "--device", "cpu", "--rescue"]
    words += ["--resume", "--json", tmp_path / "out.json"]
    work, done = module.diagnose, []

    def cut_off(*args, **named):
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return work(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(module, "diagnose", cut_off)
        CliRunner().invoke(app, [str(word) for word in words])
    assert not out.exists()
    ran = CliRunner().invoke(app, [str(word) for word in words])
    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["misses"] > 0
    assert sum(result["errors"].values()) == sum(result["rescues"].values()) == result["misses"]
    assert list(result["errors"]) == [*ERRORS, NONE]
    assert list(result["rescues"]) == list(RESCUES)
    cases = read_cases(out).cases
    assert rescues(cases).misses.sum() == result["misses"]
    assert (cases.rescue.notna() == cases.error.notna()).all()
    assert cases.pulls.map(len).gt(0).all()


def test_explain_names_what_pulls_and_what_votes(recommender):
    """The factor is that of two decodes; the votes are those that item evidence sums up."""
    explained = recommender.explain(["i0", "i1", "i2"], "i7", {"order": "left_to_right"})
    row = recommender.item_row("i7")
    config = replace(recommender.default_config, order="left_to_right")
    banned = replace(config, forbid_items=(0, 1, 2))

    def p(rows: list[int]) -> float:
        search = open_exact(recommender.denoiser, recommender.index, [rows], banned)
        return float(score_of(search, torch.tensor([row])).exp())

    assert explained.probability == pytest.approx(p([0, 1, 2]), rel=1e-4)
    assert {pull.item_id for pull in explained.pulls} == {"i0", "i1", "i2"}
    for pull in explained.pulls:
        rest = [n for n in range(3) if f"i{n}" != pull.item_id]
        assert pull.factor == pytest.approx(p([0, 1, 2]) / p(rest), rel=1e-3)
    votes = recommender.denoiser.votes()
    summed = sum(votes.votes_for([0, 1, 2], row).values())
    every = sum(sum(votes.votes_for([0, 1, 2], other).values()) for other in range(3, 40))
    assert summed / every == pytest.approx(float(votes.shares([[0, 1, 2]])[0, row]), abs=1e-6)
    with pytest.raises(MindRecError, match="ruled out"):
        recommender.explain(["i0"], "i0")
