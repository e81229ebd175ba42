"""The app on a denoiser that waits for a test before every call; all else is the real thing."""

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

from gates import Gate  # noqa: E402

from app.launch import launch  # noqa: E402
from app.server.options import Options  # noqa: E402
from app.tabs.diagnosing import Diagnosing  # noqa: E402
from app.tabs.handlers import Handlers  # noqa: E402
from mindrec import recommender as library  # noqa: E402

LOOK_AGAIN = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--gate", type=Path, required=True, help="folder through which a test lets calls pass")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    library.SOON = 0.0  # each step is recorded as it comes: one that waited for the next would wait for the test
    handlers = Handlers.load([asked.checkpoint])
    for recommender in handlers.recommenders.values():
        hold(recommender.denoiser, Gate(asked.gate))
    launch(handlers, Diagnosing(handlers), Options((asked.checkpoint,), host=asked.host, port=asked.port))


def hold(denoiser, gate: Gate) -> None:
    """Let every call of the denoiser wait at the gate."""
    quick = denoiser.token_logits

    def held(*args):
        while not gate.passes():
            time.sleep(LOOK_AGAIN)
        return quick(*args)

    denoiser.token_logits = held


if __name__ == "__main__":
    main()
