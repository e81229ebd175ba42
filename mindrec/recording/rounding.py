"""Numbers to 6 significant digits, as a trace keeps them: whole arrays at once."""

import numpy as np

_TENS = np.array([float(f"1e{power}") for power in range(309)])


def six_digits_all(values) -> np.ndarray:
    """mindrec.trace.records.six_digits of every number of an array of any shape."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 5 - np.floor(np.log10(np.abs(values)))
    digits = np.where(np.isfinite(digits), digits, 0).astype(np.int64)
    up, down = _TENS[np.minimum(np.maximum(digits, 0), 308)], _TENS[np.minimum(np.maximum(-digits, 0), 308)]
    return np.rint(values * up / down) / up * down
