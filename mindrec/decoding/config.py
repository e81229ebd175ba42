"""The settings of a decode, each declared once: range, words, and whether the app's menu shows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from mindrec.errors import MindRecError
from mindrec.system.settings import Choice, Number, Rows, Switch, Tokens, Whole, clean_settings, declare, rules

MAX_BEAMS = 100


@dataclass(frozen=True)
class DecodeConfig:
    """The settings of one decode. A field's declaration gives its meaning and range.

    Raises:
        MindRecError: a value out of its range, or settings that contradict each other.
    """

    beam_size: int = declare(
        10,
        Whole(
            label="Beams",
            help="Partial answers kept after each step. One is greedy.",
            low=1,
            high=MAX_BEAMS,
            slider=30,
            basic=True,
        ),
    )
    order: str = declare(
        "coarse_to_fine",
        Choice(
            label="Unmask order",
            help="Which masked position is filled next.",
            basic=True,
            choices={
                "coarse_to_fine": "coarse to fine",
                "confidence": "surest first",
                "left_to_right": "left to right",
                "margin": "clearest lead first",
                "random": "random",
            },
            registry="an order",
        ),
    )
    postpone: int | None = declare(
        None,
        Whole(
            help="The level that every order leaves open until the last, counted from 0; none without.",
            low=0,
            high=63,
            optional=True,
            needs={"algorithm": "mindrec"},
        ),
    )
    steps: int | None = declare(
        None,
        Whole(
            label="Steps",
            help="Fewer steps fill several positions at once, as evenly as possible, larger parts last.",
            basic=True,
            low=1,
            high=64,
            optional=True,
            needs={"expansion": "partition", "constraint": "exact"},
            excludes=("resolve",),
        ),
    )
    resolve: int | None = declare(
        None,
        Whole(
            help="Single-position steps before all the rest is filled at once; not together with steps.",
            low=1,
            high=64,
            optional=True,
            needs={"expansion": "partition", "constraint": "exact"},
            excludes=("steps",),
        ),
    )
    scoring: str = declare(
        "token",
        Choice(
            label="Scoring",
            help="Token: probabilities of a position's codes. Item: those of whole items, summed by code.",
            choices={"token": "token", "item": "item"},
            needs={"constraint": "exact"},
        ),
    )
    evidence: str = declare(
        "on",
        Choice(
            label="Item evidence",
            help="Whether likely next items, summed by code, join the denoiser's logits.",
            choices={"on": "on", "off": "off", "only": "only evidence"},
        ),
    )
    guidance: float = declare(
        0.0,
        Number(
            label="Guidance",
            help="How far answers move from what anybody takes to what this history alone makes likely; 0 is off. "
            "Guided shares rank items, and are surer than hits bear out.",
            basic=True,
            low=0,
            high=2,
            slider=2,
            # Guidance counts what anybody takes over items: it says nothing of codes that no item has.
            needs={"algorithm": "mindrec", "constraint": "exact"},
        ),
    )
    votes: int = declare(
        1,
        Whole(
            label="Votes",
            help="Unmask orders in which the last beams' items are scored; above 1 their mean ranks the answers.",
            low=1,
            high=24,
            slider=8,
            needs={"algorithm": "mindrec", "constraint": "exact"},
        ),
    )
    expansion: str = declare(
        "partition",
        Choice(
            label="Expansion",
            help="Partition: each beam branches on one position. Joint: all positions compete.",
            choices={"partition": "partition", "joint": "joint"},
        ),
    )
    merge: str = declare(
        "max",
        Choice(
            label="Merge",
            help="Joint only: how one state reached by two orders is scored.",
            choices={"max": "best path", "logsumexp": "sum of paths"},
            used_with={"expansion": "joint"},  # partition has nothing to merge
        ),
    )
    diversity: float = declare(
        0.0,
        Number(
            label="Diversity",
            help="Joint only: penalty on beams that look like a kept one.",
            low=0,
            high=100,
            slider=3,
            needs={"expansion": "joint"},  # partition's beams never hold the same item
        ),
    )
    temperature: float = declare(
        0.0,
        Number(
            label="Temperature",
            help="0 always takes the best; above it beams are sampled.",
            low=0,
            high=100,
            slider=2,
            basic=True,
        ),
    )
    seed: int = declare(
        0,
        Whole(
            label="Seed",
            help="Start of the random numbers, for sampling, the random order and votes.",
            low=0,
            high=2**31 - 1,
            used_with={"temperature": None, "order": "random", "votes": None},
        ),
    )
    constraint: str = declare(
        "exact",
        Choice(
            label="Constraint",
            help="Exact: every beam can become an item. Level: any code of the level, as published.",
            choices={"exact": "exact", "level": "level"},
        ),
    )
    exclude_seen: bool = declare(
        True, Switch(label="Leave out seen items", help="Items of the history are not recommended.", basic=True)
    )
    rethink: bool = declare(
        False,
        Switch(label="Second look", help="Re-mask the least certain tokens of the best answer and decode them again."),
    )
    algorithm: str = declare(
        "mindrec",
        Choice(
            label="Algorithm",
            help="MindRec's search, or the published one.",
            choices={"mindrec": "MindRec", "published": "published"},
            alone={"published": ("beam_size",)},
        ),
    )
    pins: tuple[tuple[int, int], ...] = declare((), Tokens(help="Tokens filled before the first step."))
    forbid_tokens: tuple[tuple[int, int], ...] = declare((), Tokens(help="Tokens that no answer may have."))
    forbid_items: tuple[int, ...] = declare((), Rows(help="Items that may not be recommended."))

    def __post_init__(self):
        clean_settings(self)
        if len({position for position, _ in self.pins}) < len(self.pins):
            raise MindRecError(f"pins={self.pins}: one position is pinned twice")

    def laid_over(self, changes: Mapping) -> "DecodeConfig":
        """These settings with some changed; one that the changes rule out goes back to its default.

        So a checkpoint whose default is guided can be asked for the published search. A setting that `changes` names
        stays as it is named, and a contradiction there is refused.

        Raises:
            MindRecError: an unknown key, a bad value, or changes that contradict each other.
        """
        raw = self.to_dict() | dict(changes)
        for key, rule in rules(type(self)).items():
            ruled_out = any(raw[other] != needed for other, needed in rule["needs"].items())
            if key not in changes and ruled_out:
                raw[key] = rule["off"]
        return self.from_dict(raw)

    def to_dict(self) -> dict:
        """Plain JSON values."""
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
