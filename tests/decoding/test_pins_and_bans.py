"""Pins and bans hold whatever the other settings are, and a trace says of an item whether it was ruled out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Toy, toy, toys

from mindrec.decoding.beam_search import final, ranked_items
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode
from mindrec.decoding.orders import ORDERS
from mindrec.decoding.rethink import rethink
from mindrec.errors import MindRecError
from mindrec.trace.records import Rethink


def answers(made: Toy, model, history: list[int], config: DecodeConfig) -> tuple[list[int], Rethink | None]:
    """Recommended rows, the second look of `rethink` included, and how that went."""
    last = final(decode(model, made.index, [history], config))
    rows, scores = ranked_items(made.index, last.beams, 1, config.beam_size)
    ranked = [(row, score) for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True) if row >= 0]
    thought = None
    if config.rethink:
        ranked, thought = rethink(model, made.index, history, config, ranked)
    return [row for row, _ in ranked], thought


def left_to_recommend(made: Toy, history: list[int], config: DecodeConfig) -> set[int]:
    """Rows that pins and bans leave; history and forbidden items are not ruled out under constraint="level"."""
    codes = made.codes.tolist()
    rows = {r for r, own in enumerate(codes) if all(own[p] == code for p, code in config.pins)}
    rows -= {r for r, own in enumerate(codes) if any(own[p] == code for p, code in config.forbid_tokens)}
    if config.constraint == "exact":
        rows -= set(config.forbid_items) | (set(history) if config.exclude_seen else set())
    return rows


@st.composite
def interventions(draw, made: Toy) -> dict:
    """Pins that agree with some item, so that most of them leave something, and bans of tokens and items."""
    row = draw(st.integers(0, made.n_items - 1))
    positions = draw(st.lists(st.integers(0, len(made.sizes) - 1), unique=True, max_size=len(made.sizes)))
    banned = draw(st.lists(st.integers(0, len(made.sizes) - 1), max_size=2))
    return {
        "pins": tuple((p, int(made.codes[row, p])) for p in positions),
        "forbid_tokens": tuple((p, draw(st.integers(0, made.sizes[p] - 1))) for p in banned),
        "forbid_items": tuple(draw(st.lists(st.integers(0, made.n_items - 1), max_size=3, unique=True))),
    }


@st.composite
def searches(draw) -> dict:
    """Every setting of the search but pins and bans, in the combinations that `check` allows."""
    out = {
        "beam_size": draw(st.integers(1, 6)),
        "order": draw(st.sampled_from(sorted(ORDERS))),
        "evidence": draw(st.sampled_from(["on", "off", "only"])),
        "exclude_seen": draw(st.booleans()),
        "temperature": draw(st.sampled_from([0.0, 0.0, 1.0])),
        "seed": draw(st.integers(0, 99)),
        "rethink": draw(st.booleans()),
    }
    kind = draw(st.sampled_from(["partition", "steps", "resolve", "joint", "level", "joint level"]))
    if "joint" in kind:
        out |= {"expansion": "joint", "merge": draw(st.sampled_from(["max", "logsumexp"]))}
        out |= {"diversity": draw(st.sampled_from([0.0, 1.0]))}
    if kind in ("steps", "resolve"):
        out[kind] = draw(st.integers(1, 4))
    if "level" in kind:
        return out | {"constraint": "level"}
    return out | {"scoring": draw(st.sampled_from(["token", "item"]))}


@settings(max_examples=100)
@given(case=toys(max_items=40), search=searches(), seed=st.integers(0, 5), data=st.data())
def test_every_answer_keeps_each_pin_and_avoids_each_ban(case, search, seed, data):
    made, (history, _) = case
    config = DecodeConfig(**search, **data.draw(interventions(made)))
    left = left_to_recommend(made, history, config)
    if not left:
        with pytest.raises(MindRecError, match="no item is left"):
            answers(made, made.compact(seed), history, config)
        return
    rows, _ = answers(made, made.compact(seed), history, config)
    assert set(rows) <= left
    assert rows or config.constraint == "level"


def test_a_second_look_swaps_answers_but_never_a_pin():
    """Many catalogs that leave much to rethink: swaps happen, and the pin stands in each."""
    made, swapped = toy((4, 4, 4, 4), 120, n_categories=1), 0
    for seed in range(3):
        model = made.compact(seed)
        for row in range(20):
            pin = (row % 4, int(made.codes[(row + 7) % 120, row % 4]))
            rows, thought = answers(
                made, model, [row], DecodeConfig(beam_size=3, evidence="off", rethink=True, pins=(pin,))
            )
            assert all(made.codes[r, pin[0]] == pin[1] for r in rows)
            swapped += thought.swapped
    assert swapped


def test_with_every_position_pinned_there_is_nothing_to_rethink():
    made = toy((3, 3, 3), 12)
    pins = tuple((p, int(made.codes[5, p])) for p in range(3))
    config = DecodeConfig(rethink=True, evidence="off", pins=pins)
    assert answers(made, made.compact(), [0], config) == ([5], None)
