"""The made-up catalog of `bench map`: the same items again and again, with the same light in all."""

import pytest

from mindrec.bench.map_speed import APART, Larger

MAP = {
    "extent": 32767,
    "x": [0, 100, -3000],
    "y": [5, 6, 7],
    "ids": ["a", "b", "c"],
    "titles": ["A", "B", "C"],
    "leaf": [0, 0, 1],
    "codes": [[0, 0], [0, 1], [1, 0]],
    "sections": [{"name": "one", "code": 0}],
}


def test_copies_lie_beside_their_item_and_share_its_mass():
    larger = Larger(8)
    made = larger.points(MAP)
    assert {name: len(made[name]) for name in ("x", "y", "ids", "titles", "leaf", "codes")} == dict.fromkeys(
        ("x", "y", "ids", "titles", "leaf", "codes"), 8
    )
    assert (made["x"][:3], made["y"][:3]) == (MAP["x"], MAP["y"])
    assert all(abs(x - MAP["x"][n % 3]) <= APART for n, x in enumerate(made["x"]))
    assert made["titles"] == ["A", "B", "C"] * 2 + ["A", "B"]
    first, last = larger.lights({"steps": [{"rows": [0, 2], "masses": [0.6, 0.4]}, {"rows": [1], "masses": [0.9]}]})[
        "steps"
    ]
    assert dict(zip(first["rows"], first["masses"], strict=True)) == pytest.approx(
        {0: 0.2, 3: 0.2, 6: 0.2, 2: 0.2, 5: 0.2}
    )
    assert sum(first["masses"]) == pytest.approx(1)
    assert last["rows"] == [1, 4, 7]
    assert last["masses"] == pytest.approx([0.3] * 3)
