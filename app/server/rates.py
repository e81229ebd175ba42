"""How much one network address may ask: a token bucket each, from which a question takes what it costs the server."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

RATE = 100.0
"""Questions a second that one address may ask for long; a class of two hundred behind one router stays under it."""
BURST = 4.0
"""Capacity of a bucket, in seconds of the sustained rate."""
MAX_ADDRESSES = 10_000
COSTS: Mapping[str, float] = {
    "agree": 4,
    "compare": 2,
    "compare_cases": 4,
    "dial": 4,
    "export_cases": 4,
    "fill_gap": 6,
    "game_seal": 2,
    "game_start": 3,
    "lab_start": 8,
    "lab_warm": 2,
    "odd_one_out": 3,
    "open_trace": 3,
    "replay": 20,
    "room_open": 20,
    "room_ask": 2,
    "room_reveal": 2,
    "rewrite": 2,
    "slate": 6,
    "trace": 2,
}
"""Tokens that a question takes; one that is not named here, such as a search or a decode, takes one."""
BYTES_A_TOKEN = 25_000
"""Bytes of a question's body that cost one token more: they are read and checked."""


def cost(question: str, size: int) -> float:
    """Tokens that a question of `size` bytes takes."""
    return COSTS.get(question, 1) + size // BYTES_A_TOKEN


class Rates:
    """A token bucket for each network address; the addresses seen last are remembered.

    Args:
        rate: tokens a second; 0 allows all.
        burst: capacity of a bucket, in seconds of that rate.
    """

    def __init__(self, rate: float, burst: float = BURST, clock: Callable[[], float] = time.monotonic):
        self.rate, self.capacity, self.clock = rate, rate * burst, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, address: str, tokens: float = 1.0, paid: float = 0.0) -> bool:
        """Take tokens from an address's bucket; False, and none taken, where it holds fewer.

        What costs more than a bucket holds takes a full one. A refusal costs nothing: who asks too often and evenly
        is answered at the rate, and not shut out.

        Args:
            paid: of these tokens, those that were taken for the same question before; they come back on a refusal.
        """
        if not self.rate:
            return True
        now, full = self.clock(), max(self.capacity, 1.0)
        tokens, paid = min(tokens, full), min(paid, full)
        tokens -= paid
        with self._lock:
            left, then = self._buckets.pop(address, (self.capacity, now))
            left = min(self.capacity, left + (now - then) * self.rate)
            allowed = left >= tokens
            self._buckets[address] = (left - tokens if allowed else left + paid, now)
            while len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        return allowed
