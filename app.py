"""MindRec in the browser: `python app.py`. `python app.py --help` lists what can be opened."""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads sleep; read when torch is imported
HERE = Path(__file__).resolve().parent


def paths(variable: str) -> list[Path]:
    return [Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part]


def main() -> int:
    parser = argparse.ArgumentParser(description="Watch MindRec decode the next item, step by step.")
    parser.add_argument("--checkpoint", type=Path, action="append", help="a folder, repeatable; MINDREC_CHECKPOINTS")
    parser.add_argument("--data", type=Path, help="prepared data, for real test trips; MINDREC_DATA")
    parser.add_argument("--cases", type=Path, action="append", help="written by diagnose, repeatable; MINDREC_CASES")
    parser.add_argument("--host", help="address to listen on; default this machine only")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    asked = parser.parse_args()
    data = asked.data or os.environ.get("MINDREC_DATA")

    from app.diagnosing import Diagnosing
    from app.handlers import Handlers
    from mindrec.errors import MindRecError

    try:
        checkpoints = asked.checkpoint or paths("MINDREC_CHECKPOINTS") or [HERE / "checkpoints" / "grocery"]
        handlers = Handlers.load(checkpoints, data=Path(data) if data else None, stories=HERE / "assets" / "stories")
        diagnosing = Diagnosing(handlers, asked.cases or paths("MINDREC_CASES"))
    except MindRecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from app.ui import launch

    launch(handlers, diagnosing, host=asked.host, port=asked.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
