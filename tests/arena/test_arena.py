"""The arena: every method learns what can be learnt and nothing else; the flow's path; one table that goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mindrec.arena.contest import Plan, hold_contest
from mindrec.arena.fmrec import mode_times, walk
from mindrec.arena.masked_diffusion import within
from mindrec.arena.method import Budget, ScoringMethod, Task
from mindrec.arena.methods import METHODS, method_type
from mindrec.arena.picture import accuracy_against_time
from mindrec.data.splits import cases
from mindrec.errors import MindRecError
from mindrec.sources.synthetic import load
from mindrec.training.auto_preset import AutoPreset

NEURAL = ("sasrec", "bsarec", "fmrec", "simgr", "genrec")
SLOW = ("liger", "cadirec", "etegrec", "ltrgr", "onerec", "left_to_right", "mindrec")
WORDS = ("red", "blue", "green", "white", "black", "pink"), ("shoe", "hat", "sock", "belt", "tie")
BUDGET = Budget(minutes=30, epochs=20, patience=20)


@pytest.fixture(autouse=True)
def in_haste(request, monkeypatch, tiny_preset):
    """A small world is learnt in a few epochs: at a higher rate, and by the smallest recipe."""
    rate = 2e-3 if "genrec" in request.node.name else 5e-3
    monkeypatch.setattr("mindrec.arena.fitting.LEARNING_RATE", rate)
    monkeypatch.setattr("mindrec.arena.etegrec.TURNS", 8)
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=10, batch_targets=300))
    monkeypatch.setattr("mindrec.arena.masked_diffusion.choose_preset", lambda data: AutoPreset(recipe, ()))


@pytest.fixture(scope="module")
def chain():
    """Every item is a function of the one before it, and is called by two words that only it has together."""
    made = load(n_items=30, n_users=200, length=8, predictability=1.0)
    colours, things = WORDS
    names = [f"{colours[n % 6]} {things[n // 6]}" for n in range(30)]
    items = tuple(replace(item, title=name) for item, name in zip(made.catalog.items, names, strict=True))
    return replace(made, catalog=replace(made.catalog, items=items))


@pytest.fixture(scope="module")
def noise():
    return load(n_items=30, n_users=300, length=8, predictability=0.0)


def fitted(name, data, folder, budget=BUDGET):
    method = method_type(name)(Task(data, folder, exclude_seen=False, max_history=7, validation_users=100))
    method.fit(budget, lambda record: None)
    return method


def hit_at_1(method, data) -> float:
    held_out = cases(data.interactions, "test")
    rows = method.rank([case.history for case in held_out], 1)[:, 0]
    return float(np.mean(rows == [case.target for case in held_out]))


@pytest.mark.parametrize("name", [*NEURAL, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_method_learns_a_chain(name, chain, tmp_path):
    assert hit_at_1(fitted(name, chain, tmp_path), chain) > 0.9


@pytest.mark.parametrize(
    "name", ["sasrec", *(pytest.param(name, marks=pytest.mark.slow) for name in NEURAL[1:] + SLOW[:5])]
)
def test_a_method_stays_at_chance_on_noise(name, noise, tmp_path):
    """30 items: chance is .033, and .12 is more than five deviations of 300 cases above it."""
    assert hit_at_1(fitted(name, noise, tmp_path, Budget(minutes=30, epochs=4)), noise) < 0.12


def test_a_straight_path_ends_alike_in_one_step_and_in_thirty():
    start, end = torch.randn(5, 8, dtype=torch.float64), torch.randn(5, 8, dtype=torch.float64)
    ends = [walk(lambda x, t: end, start, steps)[-1] for steps in (1, 30)]
    torch.testing.assert_close(ends[0], end)
    torch.testing.assert_close(ends[1], end)


def test_mode_times_are_times_and_prefer_the_ends():
    times = mode_times(torch.linspace(0, 1, 1001, dtype=torch.float64))
    assert 0 <= float(times.min()) <= float(times.max()) <= 1
    torch.testing.assert_close(times[[0, 500, 1000]], torch.tensor([1, 0.5, 0], dtype=torch.float64))


def test_a_walk_is_told_point_by_point(chain, tmp_path):
    method = fitted("fmrec", chain, tmp_path, Budget(minutes=30, epochs=2))
    history = [1, 2, 3]
    explained = method.explain(history, 4)
    assert (len(explained["walk"]), len(explained["pulls"])) == (31, 3)
    points = method.path([history])
    assert torch.equal(points[0], method.noise)
    assert explained["walk"][-1]["nearest"][0] == int(torch.cdist(points[-1], method.vectors())[0].argmin())


def test_the_example_of_the_readme_learns(chain, tmp_path, root):
    code = (root / "mindrec/arena/README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names: dict = {}
    exec(code, names)
    method = names["LastItem"](Task(chain, tmp_path, exclude_seen=False, max_history=7, validation_users=100))
    method.fit(BUDGET, lambda record: None)
    assert hit_at_1(method, chain) > 0.9


def test_seen_items_are_no_answers(chain, tmp_path):
    task = Task(chain, tmp_path, exclude_seen=True)
    history = list(range(25))
    rows = method_type("popularity")(task).rank([history], 30)[0]
    assert (set(rows[:5]), set(rows[5:])) == (set(range(25, 30)), {-1})


def test_pulls_are_the_falls_of_the_score():
    class Sum(ScoringMethod):
        """The score of an item is the sum of its products with the history's rows."""

        def scores(self, histories):
            return torch.tensor([[float(sum(h) * n) for n in range(10)] for h in histories])

    assert Sum(None).explain([1, 2, 4], 3)["pulls"] == [3.0, 6.0, 12.0]


def test_a_contest_goes_on_and_refuses_another(chain, tmp_path):
    plan = Plan(("popularity", "covisit"), Budget(minutes=1), users=100, exclude_seen=False)
    lines = []
    first = hold_contest(chain, plan, tmp_path, lines.append)
    again = hold_contest(chain, plan, tmp_path, lines.append)
    assert first == again
    assert sum("done before" in line for line in lines) == 2
    rows = {row["method"]: row for row in first["rows"]}
    assert rows["covisit"]["metrics"]["hit@10"] > rows["popularity"]["metrics"]["hit@10"]
    assert rows["covisit"]["against"] is None
    svg = accuracy_against_time(first)
    assert svg.count("<circle") == 2
    assert "co-visit" in svg
    with pytest.raises(MindRecError, match="holds another contest"):
        hold_contest(chain, Plan(("covisit",), Budget(minutes=2)), tmp_path, lines.append)


def test_against_is_the_paired_ratio_to_mindrec(chain, tmp_path):
    """With the reference's own ranks the ratio is 1; with half of its hits it is a half."""
    hold_contest(chain, Plan(("popularity",), users=4), tmp_path, lambda line: None)  # makes the folder a contest
    for name, ranks in (("mindrec", [0, 0, 0, 0]), ("covisit", [0, 0, -1, -1])):
        row = {"metrics": {"ndcg@10": float(np.mean(np.array(ranks) >= 0))}, "ranks": ranks}
        row |= {"train_seconds": 1.0, "ms_a_user": 1.0, "parameters": 0, "calls": 1.0}
        (tmp_path / f"{name}-0.json").write_text(json.dumps(row))
    result = hold_contest(chain, Plan(("mindrec", "covisit"), users=4), tmp_path, lambda line: None)
    rows = {row["method"]: row for row in result["rows"]}
    assert rows["mindrec"]["against"] is None
    assert rows["covisit"]["against"]["ratio"] == 0.5


@pytest.mark.parametrize("bad", [{"methods": ("nothing",)}, {"methods": ()}, {"methods": ("covisit",), "seeds": 0}])
def test_a_bad_plan_is_refused(bad):
    with pytest.raises(MindRecError):
        Plan(**bad)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_where_it_comes_from(name):
    kind = method_type(name)
    assert all((kind.title, kind.paper, kind.__doc__))


@pytest.mark.parametrize(
    ("share", "epochs", "seen"),
    [(2.0, (10, 8, 6), 1.0), (0.5, (5, 4, 3), 1.0), (0.1, (1, 1, 1), 0.6), (0.005, None, None)],
)
def test_mindrec_fits_its_recipe_into_the_budget(share, epochs, seen, chain, tmp_path, tiny_preset, monkeypatch):
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=10, reader_epochs=8, epochs=6))
    monkeypatch.setattr("mindrec.arena.masked_diffusion.estimate_seconds", lambda *_: 600.0)
    task, budget = Task(chain, tmp_path, seed=7), Budget(minutes=10 * share)
    if epochs is None:
        with pytest.raises(MindRecError, match="too short"):
            within(budget, task, recipe)
        return
    made, sequences = within(budget, task, recipe)
    train = made.train
    assert (train.dense_epochs, train.reader_epochs, train.epochs, train.seed) == (*epochs, 7)
    assert sequences == (None if seen == 1 else int(seen * len(task.sequences)))
