"""Other methods beside MindRec on one history: counts that a checkpoint holds, and fitted methods of the arena.

Each is told in steps that a slider can show: votes one voter at a time, a flow's walk from noise to an item, and for a
method of one pass before and after it.

Shape legend: N items, D width.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from app.tabs.handlers import Handlers
from app.words import method_words as words
from app.words import sentences as text
from mindrec.arena.fitted import fitted_files, open_method
from mindrec.arena.fmrec import STEPS, FMRec
from mindrec.arena.method import ScoringMethod
from mindrec.errors import MindRecError
from mindrec.item_map import EXTENT
from mindrec.model.pair_votes import PairVotes
from mindrec.recommender import Recommender

TOP = 10
"""Answers that are listed."""
LIT = 40
"""Items that a picture lights at a step."""
NAMED = 3
VOTERS = 30
"""Voters that have a step of their own, the last ones; those before them vote together in the first step."""


@dataclass(frozen=True)
class Moment:
    """A step of a method.

    Attributes:
        scores_N: of all items; -inf is no answer. None before anything is scored.
        words: the step in a sentence, with places for {step}, {steps}, the {voter}, and the {titles} in the lead.
        voter: row of the item that votes at this step.
        point: where the point of a walk is in the picture.
    """

    scores_N: np.ndarray | None
    words: str
    voter: int | None = None
    point: tuple[float, float] | None = None


class OtherMethods:
    """The methods that can be compared with a checkpoint's decodes.

    Args:
        folder: fitted methods, as `arena --out` writes them.

    Raises:
        MindRecError: the folder holds none, or one that fits no open checkpoint.
    """

    def __init__(self, handlers: Handlers, folder: Path | None = None):
        self.handlers, self._lock = handlers, threading.Lock()
        self._fitted: dict[str, dict[str, tuple[ScoringMethod, dict]]] = {}
        files = [] if folder is None else fitted_files(folder)
        if folder is not None and not files:
            raise MindRecError(f"{folder} holds no fitted method; `python -m mindrec arena --out {folder}` writes them")
        catalogs = {r.catalog.fingerprint: r.catalog for r in handlers.recommenders.values()}
        for path in files:
            name, method, about = _open(path, list(catalogs.values()))
            self._fitted.setdefault(method.task.data.catalog.fingerprint, {})[name] = method, about

    def opening(self) -> dict[str, list[dict]]:
        """Names and titles of the methods beside each open checkpoint."""
        return {
            checkpoint: [{"name": name, "title": title} for name, title in self.titles(checkpoint).items()]
            for checkpoint in self.handlers.recommenders
        }

    def titles(self, checkpoint: str) -> dict[str, str]:
        """Titles of the methods beside one checkpoint, by name."""
        recommender = self.handlers.opened(checkpoint)
        counted = {"popularity": recommender.checkpoint.popularity, "votes": _votes(recommender)}
        titles = {name: words.METHOD_TITLES[name] for name, there in counted.items() if there is not None}
        return titles | {name: method.title for name, (method, _) in self._of(recommender).items()}

    def _of(self, recommender: Recommender) -> dict[str, tuple[ScoringMethod, dict]]:
        return self._fitted.get(recommender.catalog.fingerprint, {})

    @torch.no_grad()
    def moments(self, checkpoint: str, name: str, rows: Sequence[int]) -> tuple[list[Moment], dict | None]:
        """The steps of a method on a history, and the points of its own picture where it has one.

        Raises:
            MindRecError: the checkpoint has no such method beside it, or the history is empty.
        """
        if name not in self.titles(checkpoint):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what=str(name)[:40]))
        if not rows:
            raise MindRecError(words.EMPTY)
        recommender = self.handlers.opened(checkpoint)
        allowed = _allowing(rows, recommender.default_config.exclude_seen)
        with self._lock:
            if name == "popularity":
                return _one_pass(allowed(np.array(recommender.checkpoint.popularity, dtype=np.float32))), None
            if name == "votes":
                return _voting(_votes(recommender), rows, allowed), None
            method, _ = self._of(recommender)[name]
            if isinstance(method, FMRec):
                return _walking(method, rows, allowed)
            return _one_pass(allowed(method.scores([rows])[0].numpy())), None

    def side(self, checkpoint: str, name: str, ids: Sequence[str], target: str | None) -> dict:
        """One side of a comparison: facts, the steps with their answers, and the points of the picture."""
        recommender = self.handlers.opened(checkpoint)
        rows = recommender.history_rows(ids)
        gold = None if target is None else recommender.item_row(target)
        started = time.perf_counter()
        moments, picture = self.moments(checkpoint, name, rows)
        took = f"{(time.perf_counter() - started) * 1000:,.0f} ms"
        method, about = self._of(recommender).get(name, (None, None))
        passes, size = (0, 0) if method is None else (method.calls, method.size())
        values = (f"{passes:,.0f}", f"{size:,}", took, str(len(moments) - 1))
        last_N = moments[-1].scores_N
        return {
            "method": name,
            "title": self.titles(checkpoint)[name],
            "about": _about(name, method, about),
            "facts": list(zip(words.METHOD_FACTS, values, strict=True)),
            "steps": [_step(moment, recommender, n, len(moments) - 1) for n, moment in enumerate(moments)],
            "picture": picture or _map_of(recommender),
            "history": list(rows),
            "rows": best(last_N, TOP),
            "gold": None if gold is None else {"row": gold, "rank": rank_of(last_N, gold)},
        }


def best(scores_N: np.ndarray, k: int) -> list[int]:
    """Rows of the k best scores, ties by row; none that is ruled out."""
    first = np.argsort(-scores_N, kind="stable")[:k]
    return [int(row) for row in first if scores_N[row] > -np.inf]


def rank_of(scores_N: np.ndarray, row: int) -> int | None:
    """Rank of an item from 1, ties by row; None where it is ruled out."""
    score = scores_N[row]
    return None if score == -np.inf else int((scores_N > score).sum() + (scores_N[:row] == score).sum() + 1)


def _open(path: Path, catalogs: list) -> tuple[str, ScoringMethod, dict]:
    """A fitted method on the first catalog that it was trained on."""
    failed: MindRecError | None = None
    for catalog in catalogs:
        try:
            return open_method(path, catalog)
        except MindRecError as error:
            failed = error
    raise failed or MindRecError(f"{path}: no checkpoint is open")


def _votes(recommender: Recommender) -> PairVotes | None:
    votes = getattr(recommender.denoiser, "votes", None)
    return votes() if callable(votes) else None


def _allowing(rows: Sequence[int], exclude_seen: bool) -> Callable[[np.ndarray], np.ndarray]:
    """A function that rules out the history's items, if the checkpoint does so too."""

    def allowed(scores_N: np.ndarray) -> np.ndarray:
        scores_N = np.array(scores_N, dtype=np.float32)
        if exclude_seen:
            scores_N[list(rows)] = -np.inf
        return scores_N

    return allowed


def _one_pass(scores_N: np.ndarray) -> list[Moment]:
    return [Moment(None, words.METHOD_NOTHING_YET), Moment(scores_N, words.METHOD_AT_ONCE)]


def _voting(votes: PairVotes, rows: Sequence[int], allowed) -> list[Moment]:
    """One voter after the other, the last of the history first; the last step is the vote of all."""
    voters, total_N = votes.voters(rows), torch.zeros(len(votes.start_N) - 1)
    moments = [Moment(None, words.METHOD_NOTHING_YET)]
    for n, (row, divided) in enumerate(voters):
        pairs = slice(int(votes.start_N[row]), int(votes.start_N[row + 1]))
        total_N.index_add_(0, votes.item_P[pairs].cpu(), votes.weight_P[pairs].cpu() / divided)
        if n >= len(voters) - VOTERS:
            scores_N = total_N.clone().masked_fill(total_N == 0, -torch.inf)
            moments.append(Moment(allowed(scores_N.numpy()), words.METHOD_VOTE, voter=row))
    return moments if len(moments) > 1 else [*moments, Moment(allowed(total_N.numpy()), words.METHOD_NO_VOTES)]


def _walking(method: FMRec, rows: Sequence[int], allowed) -> tuple[list[Moment], dict]:
    """Euler's steps from noise to the answer, on a plane that is laid along the walk.

    The plane's first direction leads from the noise to the end; its second is the one in which items differ most.
    """
    vectors_ND = method.vectors()
    points_ED = torch.cat(method.path([rows], STEPS))
    start_D, way_D = points_ED[0], points_ED[-1] - points_ED[0]
    along_D = way_D / way_D.norm().clamp(min=1e-6)
    rest_ND = vectors_ND - vectors_ND.mean(0)
    rest_ND = rest_ND - (rest_ND @ along_D)[:, None] * along_D
    across_D = torch.linalg.svd(rest_ND, full_matrices=False).Vh[0]
    plane_D2 = torch.stack([along_D, across_D - (across_D @ along_D) * along_D], 1)
    items_N2, walk_E2 = ((each - start_D) @ plane_D2 for each in (vectors_ND, points_ED))
    moments = []
    for n, (point_D, at) in enumerate(zip(points_ED, walk_E2.tolist(), strict=True)):
        sentence = words.METHOD_WALK if n else words.METHOD_NOISE
        nearness_N = -torch.cdist(point_D[None], vectors_ND)[0]
        moments.append(Moment(allowed(nearness_N.numpy()), sentence, point=(round(at[0], 3), round(at[1], 3))))
    moments[-1] = Moment(allowed(method.scores([rows])[0].numpy()), words.METHOD_WALK, point=moments[-1].point)
    return moments, {"x": _rounded(items_N2[:, 0]), "y": _rounded(items_N2[:, 1])}


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def _map_of(recommender: Recommender) -> dict | None:
    known = recommender.checkpoint.item_map
    if known is None:
        return None
    return {axis: [round(value / EXTENT, 3) for value in getattr(known, axis)] for axis in ("x", "y")}


def _step(moment: Moment, recommender: Recommender, number: int, steps: int) -> dict:
    """A step as the page draws it: a sentence, the first answers, and the items that are lit."""
    rows = [] if moment.scores_N is None else best(moment.scores_N, LIT)
    titles = [recommender.catalog.items[row].title for row in rows[:TOP]]
    named = ", ".join(f"“{title}”" for title in titles[:NAMED])
    values = {"step": number, "steps": steps, "titles": named, "title": titles[0] if titles else ""}
    values["voter"] = "" if moment.voter is None else recommender.catalog.items[moment.voter].title
    return {
        "words": moment.words.format(**values),
        "items": [{"row": row, "title": title} for row, title in zip(rows[:TOP], titles, strict=True)],
        "lit": rows,
        "voter": moment.voter,
        "point": moment.point,
    }


def _about(name: str, method: ScoringMethod | None, about: dict | None) -> str:
    """Describe a method and its training."""
    what = words.METHOD_ABOUT.get(name, words.METHOD_ONE_PASS)
    if method is None:
        return what
    trained = {"data": str(about.get("data", ""))[:60], "seconds": int(about.get("cpu_seconds", 0))}
    measured = about.get("ndcg@10")
    trained["score"] = "" if measured is None else words.METHOD_SCORE.format(value=float(measured))
    return f"{what} {words.METHOD_TRAINED.format(paper=method.paper, **trained)}"
