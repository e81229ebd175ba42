"""The app on a denoiser that takes its time, as a large one would; all else is the real thing."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.server.launch import launch
from app.server.options import Options
from app.tabs.diagnosing import Diagnosing
from app.tabs.handlers import Handlers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="that every call of the denoiser takes longer")
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    handlers = Handlers.load([asked.checkpoint])
    for recommender in handlers.recommenders.values():
        slow_down(recommender.denoiser, asked.seconds)
    launch(handlers, Diagnosing(handlers), Options((asked.checkpoint,), host="127.0.0.1", port=asked.port))


def slow_down(denoiser, seconds: float) -> None:
    quick = denoiser.token_logits

    def slow(*args):
        time.sleep(seconds)
        return quick(*args)

    denoiser.token_logits = slow


if __name__ == "__main__":
    main()
