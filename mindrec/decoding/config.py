"""The dials of a decode, in one frozen place."""

import operator
from dataclasses import asdict, dataclass, fields

from mindrec.errors import MindRecError

EXPANSIONS = ("partition", "joint")
MERGES = ("max", "logsumexp")
SCORINGS = ("token", "item")
EVIDENCE = ("on", "off", "only")
CONSTRAINTS = ("exact", "level")
ALGORITHMS = ("mindrec", "published")
MAX_BEAMS = 100


@dataclass(frozen=True)
class DecodeConfig:
    """How to decode.

    Attributes:
        algorithm: "mindrec", or "published": the paper's search as its released settings describe it.
        beam_size: partial answers kept after each step.
        order: name of an unmask order (mindrec.decoding.orders.ORDERS).
        expansion: "partition" branches each beam on one position; "joint" lets all positions compete.
        merge: how joint joins one state reached by several orders: its best path, or the sum of them.
        diversity: lambda of joint's penalty on likeness to beams already kept; 0 is none.
        steps: denoiser steps to spread the positions over, as evenly as possible, larger parts last; None is one each.
        resolve: single-position steps before all the rest is filled at once; not together with `steps`.
        scoring: "token" normalises over the legal codes of a position; "item" sums the item posterior by code.
        evidence: "on" adds item evidence (dense head and transitions) to the denoiser's logits, "off" leaves it out,
            "only" drops the denoiser.
        constraint: "exact" keeps every beam completable; "level" allows any code of the level, as published.
        exclude_seen: whether items of the history may not be recommended.
        temperature: 0 is a deterministic search; above it beams are sampled without replacement.
        seed: of the sampling and of the order "random".
        pins: (position, code) pairs filled before the first step.
        forbid_tokens: (position, code) pairs that no answer may have.
        forbid_items: item rows that may not be recommended.
        rethink: whether to re-mask and decode again the least certain positions of the best answer.
    """

    algorithm: str = "mindrec"
    beam_size: int = 10
    order: str = "coarse_to_fine"
    expansion: str = "partition"
    merge: str = "max"
    diversity: float = 0.0
    steps: int | None = None
    resolve: int | None = None
    scoring: str = "token"
    evidence: str = "on"
    constraint: str = "exact"
    exclude_seen: bool = True
    temperature: float = 0.0
    seed: int = 0
    pins: tuple[tuple[int, int], ...] = ()
    forbid_tokens: tuple[tuple[int, int], ...] = ()
    forbid_items: tuple[int, ...] = ()
    rethink: bool = False

    def __post_init__(self):
        for name, allowed in (
            ("algorithm", ALGORITHMS),
            ("expansion", EXPANSIONS),
            ("merge", MERGES),
            ("scoring", SCORINGS),
            ("evidence", EVIDENCE),
            ("constraint", CONSTRAINTS),
        ):
            if getattr(self, name) not in allowed:
                raise MindRecError(f"{name}={getattr(self, name)!r} is not one of {', '.join(allowed)}")
        _whole("beam_size", self.beam_size, 1, MAX_BEAMS)
        _whole("seed", self.seed, 0, 2**31 - 1)
        for name in ("steps", "resolve"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1, 64)
        if self.steps is not None and self.resolve is not None:
            raise MindRecError("steps and resolve are two ways to say the same; give one")
        for name in ("diversity", "temperature"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
                raise MindRecError(f"{name}={value!r} is outside 0..100")
        if self.diversity and self.expansion != "joint":
            raise MindRecError("diversity needs expansion='joint': partition's beams never hold the same item")
        if not isinstance(self.order, str):
            raise MindRecError(f"order={self.order!r} is not the name of an order")
        for name in ("exclude_seen", "rethink"):
            if not isinstance(getattr(self, name), bool):
                raise MindRecError(f"{name}={getattr(self, name)!r} is not true or false")
        for name in ("pins", "forbid_tokens", "forbid_items"):
            if not isinstance(getattr(self, name), (list, tuple)):
                raise MindRecError(f"{name}={getattr(self, name)!r} is not a list")
        for name in ("pins", "forbid_tokens"):
            object.__setattr__(self, name, tuple(sorted(_pair(name, p) for p in getattr(self, name))))
        if len({position for position, _ in self.pins}) < len(self.pins):
            raise MindRecError(f"pins={self.pins}: one position is pinned twice")
        object.__setattr__(self, "forbid_items", tuple(sorted(_row(r) for r in self.forbid_items)))

    def to_dict(self) -> dict:
        raw = asdict(self)
        raw["pins"] = [list(p) for p in self.pins]
        raw["forbid_tokens"] = [list(p) for p in self.forbid_tokens]
        raw["forbid_items"] = list(self.forbid_items)
        return raw

    @classmethod
    def from_dict(cls, raw: dict) -> "DecodeConfig":
        """Raises MindRecError for an unknown key as for a bad value."""
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(raw) - set(known))
        if unknown:
            raise MindRecError(f"unknown decode setting {unknown[0]!r}; settings are {', '.join(known)}")
        return cls(**raw)


def _whole(name: str, value, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise MindRecError(f"{name}={value!r} is not a whole number in {low}..{high}")


def _row(value) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise MindRecError(f"forbid_items holds {value!r}; item rows, whole numbers, are needed") from error


def _pair(name: str, value) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(v) is int and v >= 0 for v in value):
        raise MindRecError(f"{name} holds {value!r}; a (position, code) pair of whole numbers is needed")
    return value[0], value[1]
