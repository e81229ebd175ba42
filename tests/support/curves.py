"""Learning curves compared."""

import pytest


def curve(checkpoint) -> list[dict]:
    """What an epoch reports, without how long it took."""
    return [{k: v for k, v in record.items() if k != "seconds"} for record in checkpoint.training["curve"]]


def assert_same_curve(one, other) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for key in ("step", "targets", "loss_dense", "loss_token"):
            assert a[key] == pytest.approx(b[key], rel=1e-6)
        for key, value in a["validation"].items():
            exact = isinstance(value, str)
            assert value == (b["validation"][key] if exact else pytest.approx(b["validation"][key], rel=1e-6, abs=1e-6))
