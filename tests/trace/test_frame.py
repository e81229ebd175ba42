"""A trace as a table: counted and compared by hand against the golden trace."""

import math
from pathlib import Path

from mindrec.trace.records import DecodeTrace

GOLDEN = Path(__file__).parent / "golden" / "oracle_trace.json"


def test_one_row_for_each_beam_of_each_step():
    trace = DecodeTrace.from_json(GOLDEN.read_text(encoding="utf-8"))
    frame = trace.to_frame()
    assert frame.groupby("step").size().to_dict() == {s.index: len(s.beams) for s in trace.steps}
    first, last = frame.iloc[0], frame[frame["step"] == trace.steps[-1].index].iloc[0]
    assert first["0: level 0":].isna().all()
    assert first[["parent", "item", "title"]].isna().all()
    assert math.exp(first["score"]) == 1
    assert last["title"] == f"Item {trace.results[0].row}"
    assert last["item_id"] == f"i{trace.results[0].row}"
    assert math.isclose(math.exp(last["score"]), trace.results[0].probability, rel_tol=1e-5)
    codes = trace.steps[-1].beams[0].codes
    assert last["0: level 0":].tolist() == [f"code {code}" for code in codes]


def test_a_parent_is_a_row_of_the_step_before():
    frame = DecodeTrace.from_json(GOLDEN.read_text(encoding="utf-8")).to_frame()
    later = frame[frame["step"] > 0].assign(step=lambda f: f["step"] - 1)
    joined = later.merge(frame, left_on=["step", "parent"], right_on=["step", "beam"], suffixes=("", "_before"))
    assert len(joined) == len(later)
    assert (joined["items"] <= joined["items_before"]).all()
