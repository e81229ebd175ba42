"""How much an answer moves when its history changes a little: an item fewer, another order, a neighbour in its place.

Every history is decoded as it is and once for each change. What one of the two histories rules out is taken from both
answers, so that an item which may be recommended again counts as no move. A history is cut to one item less than the
model reads, so that a change is read whole.

Shape legend: N items, C category levels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.errors import MindRecError
from mindrec.evaluation.bootstrap import difference
from mindrec.evaluation.evaluate import rank
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import answerable_cases, open_checkpoint
from mindrec.model.denoiser import Denoiser
from mindrec.recommender import Recommender
from mindrec.system.files import read_json

K = 10
"""The first answers that are compared."""
NOTHING = "nothing"
MEASURES = (f"overlap@{K}", "first", "places")
History = tuple[int, ...]


@dataclass(frozen=True)
class Kin:
    """Which items may stand in for another one.

    Attributes:
        category_N: int64, equal for two items of one finest category; -1 for an item without one.
        brand_N: the same for brands.
    """

    category_N: np.ndarray
    brand_N: np.ndarray

    @classmethod
    def of(cls, codes_NC: np.ndarray, brands: Sequence[str | None]) -> "Kin":
        """From the category codes of each item, coarse to fine, and its brand."""
        known = {brand: n for n, brand in enumerate(sorted({b for b in brands if b}))}
        if codes_NC.shape[1]:
            category = np.unique(codes_NC, axis=0, return_inverse=True)[1].reshape(-1)
        else:
            category = np.full(len(brands), -1)
        return cls(category, np.array([known.get(brand or "", -1) for brand in brands], dtype=np.int64))

    def of_item(self, row: int) -> np.ndarray:
        """Rows (n,) of the same finest category, of another brand where there are such; none without categories."""
        if self.category_N[row] < 0:
            return np.zeros(0, dtype=np.int64)
        same = np.flatnonzero(self.category_N == self.category_N[row])
        same = same[same != row]
        other = same[(self.brand_N[same] >= 0) & (self.brand_N[same] != self.brand_N[row])]
        return other if self.brand_N[row] >= 0 and len(other) else same


# -- changes: a history and its case -> the changed history, or None where the change means nothing -------------------


def _last_dropped(history: History, case: Case, kin: Kin, rng: np.random.Generator) -> History | None:
    return history[:-1] or None


def _first_dropped(history: History, case: Case, kin: Kin, rng: np.random.Generator) -> History | None:
    return history[1:] or None


def _reversed(history: History, case: Case, kin: Kin, rng: np.random.Generator) -> History | None:
    return history[::-1] if history != history[::-1] else None


def _swapped(history: History, case: Case, kin: Kin, rng: np.random.Generator) -> History | None:
    """One item gives way to another that is neither in the history nor the true next item."""
    taken = {*case.history, case.target}
    for position in rng.permutation(len(history)):
        if choices := [row for row in kin.of_item(history[position]).tolist() if row not in taken]:
            return (*history[:position], int(rng.choice(choices)), *history[position + 1 :])
    return None


def _repeated(history: History, case: Case, kin: Kin, rng: np.random.Generator) -> History | None:
    """One item comes twice in a row."""
    position = int(rng.integers(len(history)))
    return (*history[: position + 1], *history[position:])


CHANGES: dict[str, Callable[[History, Case, Kin, np.random.Generator], History | None]] = {
    "last_dropped": _last_dropped,
    "first_dropped": _first_dropped,
    "reversed": _reversed,
    "swapped": _swapped,
    "repeated": _repeated,
}


# -- measures ----------------------------------------------------------------------------------------------------------


def behaviour(
    denoiser: Denoiser,
    index: ItemIndex,
    sample: Sequence[Case],
    kin: Kin,
    config: DecodeConfig,
    *,
    ordered: bool = True,
    seed: int = 0,
    batch: int = 64,
) -> list[dict]:
    """How far the answers of some cases move under each of CHANGES.

    Args:
        ordered: False where order carries nothing in the data: then a reversed history should move nothing.
        seed: chooses what is swapped and repeated, and draws the intervals.

    Returns:
        One object a change: `change`; `cases`, to how many it applies; `expected`, "nothing" or None; `unmoved`, how
        many keep their first K answers in their order; and means with 95 % bootstrap intervals over cases:
        `overlap@10`, the share of the first ten answers that stay among them; `first`, how often the first answer
        stays; `places`, how far the true item's rank moves where either answer holds it (`ranked` cases), one that the
        other lacks counting as just below its end. A mean of no case is None.
    """
    read = [case.history[-max(1, denoiser.max_history - 1) :] for case in sample]
    before = _answers(denoiser, index, sample, read, config, batch)
    out = []
    for name, change in CHANGES.items():
        changed = [
            change(history, case, kin, np.random.default_rng((seed, n)))
            for n, (history, case) in enumerate(zip(read, sample, strict=True))
        ]
        some = [n for n, history in enumerate(changed) if history is not None]
        after = _answers(denoiser, index, [sample[n] for n in some], [changed[n] for n in some], config, batch)
        moves = []
        for n, answers in zip(some, after, strict=True):
            ruled_out = {*sample[n].history, *changed[n]} if config.exclude_seen else set()
            moves.append(_move(*([r for r in a if r not in ruled_out] for a in (before[n], answers)), sample[n].target))
        expected = NOTHING if name == "reversed" and not ordered else None
        out.append({"change": name, "cases": len(some), "expected": expected} | _summed(moves, seed))
    return out


def _answers(denoiser, index, sample: Sequence[Case], histories: Sequence, config, batch: int) -> list[list[int]]:
    """Item rows of each case's answers, best first."""
    if not histories:
        return []
    changed = [Case(case.user_id, history, case.target) for case, history in zip(sample, histories, strict=True)]
    ranking = rank(denoiser, index, changed, config, batch=batch, progress=True)
    return [[row for row in answers if row >= 0] for answers in ranking.rows.tolist()]


def _move(before: list[int], after: list[int], target: int) -> tuple[float, float, float, float]:
    """Of one case: share of the first K kept, whether the first stays, places of the target, whether nothing moved."""
    first, last = before[:K], max(len(before), len(after))
    kept = len({*first} & {*after[:K]}) / len(first) if first else np.nan
    places = [answers.index(target) if target in answers else last for answers in (before, after)]
    far = abs(places[0] - places[1]) if min(places) < last else np.nan
    return kept, float(before[:1] == after[:1]), far, float(first == after[:K])


def _summed(moves: Sequence[tuple[float, ...]], seed: int) -> dict:
    kept, first, places, unmoved = np.array(moves, dtype=float).reshape(-1, 4).T
    known = [values[~np.isnan(values)] for values in (kept, first, places)]
    means = {name: difference(v, seed) if len(v) else None for name, v in zip(MEASURES, known, strict=True)}
    return {"unmoved": int(unmoved.sum())} | means | {"ranked": len(known[2])}


def measure_behaviour(checkpoint: Path, data: PreparedData, protocol: Protocol = USUAL) -> dict:
    """`behaviour` of a checkpoint on the cases of a protocol, as plain JSON; without a number of users, on all.

    Raises:
        MindRecError: checkpoint and data name different catalogs; nobody has an item left to recommend.
    """
    recommender, seed = open_checkpoint(checkpoint, data, protocol.device), protocol.seed
    config, index = recommender.settings(protocol.settings or {}), recommender.index
    sample = cases(data.interactions, protocol.split, protocol.users, seed)
    answerable, _ = answerable_cases(recommender, sample, config)
    kin = Kin.of(
        recommender.tokenizer.codes[:, list(index.levels.categories)],
        [item.brand for item in recommender.catalog.items],
    )
    ordered = data.interactions.ordered
    return {
        "dataset": data.catalog.name,
        "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
        "split": protocol.split,
        "users": len(answerable),
        "seed": seed,
        "ordered": ordered,
        "decoder": config.to_dict(),
        "changes": behaviour(
            recommender.denoiser, index, answerable, kin, config, ordered=ordered, seed=seed, batch=protocol.batch
        ),
    }


def read_behaviour(path: Path, recommender: Recommender) -> dict:
    """A result of `measure_behaviour` again. Raises MindRecError: it is damaged, or of another checkpoint."""
    result = read_json(path, "behaviour")
    try:
        made = result["checkpoint"]["fingerprint"]
        whole = [change["change"] for change in result["changes"]] == list(CHANGES)
        whole = whole and all(name in change for change in result["changes"] for name in MEASURES)
    except (KeyError, TypeError) as error:
        raise MindRecError(f"behaviour: {path} was not written by `mindrec behaviour`; write it again") from error
    if made != recommender.checkpoint.fingerprint or not whole:
        raise MindRecError(f"behaviour: {path} is of checkpoint {made}, not of this one; run `mindrec behaviour` again")
    return result
