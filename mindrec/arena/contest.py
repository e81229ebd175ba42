"""Every method on one task: trained within one budget, measured on the same test cases, one row each.

A finished row is a file in the output folder, so an interrupted contest goes on where it stood.

Shape legend: U users, K ranks.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from mindrec.arena.fitted import KEPT, save_method
from mindrec.arena.method import Budget, Method, Task
from mindrec.arena.methods import METHODS, NEEDS_BASE, method_type
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases, item_counts
from mindrec.errors import MindRecError
from mindrec.evaluation.bootstrap import bootstrap_ratio
from mindrec.evaluation.metrics import gold_ranks, hit_at_k, ndcg_at_k
from mindrec.evaluation.slices import reach
from mindrec.system.files import FolderKind, check_replaceable, read_json, write_json
from mindrec.text_backbone.backbone import about_base

FORMAT = 1
PICTURE = "accuracy-against-time.svg"
FOLDER = FolderKind("a contest", ("contest.json",), ("*-[0-9]*.json", "checkpoints", PICTURE, ".*"))
"""Names that begin with a dot are those of files that were being written when a contest was cut off."""
K = 50
REFERENCE = "mindrec"
"""The method that all others are compared with."""


@dataclass(frozen=True)
class Plan:
    """A contest.

    Attributes:
        methods: names of mindrec.arena.methods.
        budget: of each training.
        seeds: trainings of each method.
        users: test cases at most, a seeded sample; None for all.
        exclude_seen: whether items of a history are ruled out.
        base: imported text backbone that the method "backbone" adapts; None without.
        base_minutes: of that method's training, in place of the budget's.
    """

    methods: tuple[str, ...]
    budget: Budget = field(default_factory=Budget)
    seeds: int = 1
    users: int | None = None
    exclude_seen: bool = True
    base: Path | None = None
    base_minutes: float | None = None

    def __post_init__(self):
        for name in self.methods:
            method_type(name)
        if not self.methods:
            raise MindRecError(f"no method is named; known are {', '.join(METHODS)}")
        if self.seeds < 1 or self.budget.minutes <= 0 or self.budget.epochs < 1:
            raise MindRecError(
                f"{self.seeds} seeds of {self.budget.minutes:g} minutes: give --seeds from 1 and --minutes above 0"
            )
        if self.base_minutes is not None and self.base_minutes <= 0:
            raise MindRecError(f"--base-minutes {self.base_minutes:g} leave no time; give more than 0")
        if NEEDS_BASE in self.methods and self.base is None:
            raise MindRecError(
                f"method {NEEDS_BASE!r} needs --base, a folder that import-llada or import-masked-lm made"
            )

    def budget_of(self, method: str) -> Budget:
        """The limits of one method's training."""
        separate = method == NEEDS_BASE and self.base_minutes is not None
        return replace(self.budget, minutes=self.base_minutes) if separate else self.budget


def hold_contest(data: PreparedData, plan: Plan, out: Path, say: Callable[[str], None]) -> dict:
    """Train and measure each method for each seed; rows that `out` has of the same plan are taken as they are.

    Returns:
        `rows`: for each method the mean measures over seeds, time and size, and `against`: the ratio of its NDCG@10 to
        the reference's with the paired interval (None without the reference).

    Raises:
        MindRecError: `out` holds rows of another contest, or what is no contest's.
    """
    out = check_replaceable(out, FOLDER)
    about = {
        "format": FORMAT,
        "data": data.fingerprint,
        "budget": asdict(plan.budget),
        "users": plan.users,
        "exclude_seen": plan.exclude_seen,
    }
    if plan.base is not None:
        about |= {"base": about_base(plan.base)["fingerprint"], "base_minutes": plan.budget_of(NEEDS_BASE).minutes}
    _check_same(out / "contest.json", about)
    held_out = cases(data.interactions, "test", plan.users)
    runs: dict[str, list[dict]] = {}
    for seed in range(plan.seeds):
        task = Task(data, out / "checkpoints", seed, plan.exclude_seen, base=plan.base)
        for name in plan.methods:
            path = out / f"{name}-{seed}.json"
            if path.exists():
                say(f"{name}, seed {seed}: done before")
            else:
                write_json(path, one_run(name, task, plan.budget_of(name), held_out, say), indent=None)
            runs.setdefault(name, []).append(read_json(path, "row of the arena"))
    rows = [_row(name, measured, runs.get(REFERENCE)) for name, measured in runs.items()]
    return {
        "dataset": data.catalog.name,
        "items": len(data.catalog),
        "users": len(held_out),
        "seeds": plan.seeds,
        **about,
        "rows": sorted(rows, key=lambda row: -row["metrics"]["ndcg@10"]),
    }


def one_run(name: str, task: Task, budget: Budget, held_out: Sequence[Case], say: Callable[[str], None]) -> dict:
    """Train one method and rank the test cases: measures, time, size, and the rank of each true item (-1: none)."""
    kind = method_type(name)
    started, cpu = time.perf_counter(), time.process_time()
    method: Method = kind(task)
    method.fit(budget, lambda record: say(f"{name}, seed {task.seed}: {_words(record)}"))
    trained, cpu = time.perf_counter(), time.process_time() - cpu
    rows_UK = method.rank([case.history for case in held_out], K)
    seconds = time.perf_counter() - trained
    targets_U = np.array([case.target for case in held_out])
    ranks_U = gold_ranks(rows_UK, targets_U)
    popularity_N = item_counts(task.data.interactions)
    metrics = {f"hit@{k}": float(hit_at_k(ranks_U, k).mean()) for k in (1, 10, K)}
    metrics |= {"ndcg@10": float(ndcg_at_k(ranks_U, 10).mean())} | reach(rows_UK, targets_U, popularity_N)
    if name in KEPT:
        about = {"data": task.data.catalog.name, "cpu_seconds": round(cpu), "ndcg@10": metrics["ndcg@10"]}
        save_method(method, name, task.folder / f"{name}-{task.seed}.safetensors", about)
    say(f"{name}, seed {task.seed}: test NDCG@10 {metrics['ndcg@10']:.4f}, {trained - started:.0f} s of training")
    return {
        "metrics": metrics,
        "train_seconds": round(trained - started, 1),
        "ms_a_user": round(1000 * seconds / len(held_out), 3),
        "parameters": method.size(),
        "calls": method.calls,
        "ranks": ranks_U.tolist(),
    }


def _row(name: str, runs: Sequence[dict], reference: Sequence[dict] | None) -> dict:
    kind = method_type(name)
    measures = runs[0]["metrics"]
    metrics = {key: _mean(run["metrics"][key] for run in runs) for key in measures}
    against = None
    if reference is not None and name != REFERENCE:
        sides = [np.array([ndcg_at_k(np.array(run["ranks"]), 10) for run in side]) for side in (runs, reference)]
        against = bootstrap_ratio(*sides)
    return {
        "method": name,
        "title": kind.title,
        "paper": kind.paper,
        "published": kind.published,
        "metrics": metrics,
        "ndcg@10_of_seeds": [run["metrics"]["ndcg@10"] for run in runs],
        "against": against,
        "seconds": _mean(run["train_seconds"] for run in runs),
        "ms_a_user": _mean(run["ms_a_user"] for run in runs),
        "parameters": runs[0]["parameters"],
        "calls": _mean(run["calls"] for run in runs),
    }


def _mean(values) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _words(record: dict) -> str:
    stage = f"{record['stage']} " if "stage" in record else ""
    score = record.get("ndcg@10", record.get("validation", {}).get("score"))
    return f"{stage}epoch {record['epoch'] + 1}" + ("" if score is None else f", validation {score:.4f}")


def _check_same(path: Path, about: dict) -> None:
    if not path.exists():
        write_json(path, about)
        return
    before = read_json(path, "contest")
    differs = [key for key in about if before.get(key) != about[key]]
    if differs:
        differing = ", ".join(f"{key} {before.get(key)!r} there and {about[key]!r} here" for key in differs)
        raise MindRecError(
            f"{path.parent} holds another contest ({differing}); give another --out, or the same settings"
        )
