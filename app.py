"""MindRec in the browser: `python app.py`. `python app.py --help` lists what can be opened."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads sleep; read when torch is imported
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported: nothing is sent anywhere
HERE = Path(__file__).resolve().parent
SHIPPED = [HERE / "checkpoints" / "grocery", HERE / "checkpoints" / "grocery-ar"]

SHIPPED_METHODS = HERE / "checkpoints" / "grocery-arena"


def main() -> int:
    """Serve the app until it is stopped; 2 where an option, a checkpoint or the port is wrong, as stderr says."""
    from app.server.observing import log_to_stderr
    from app.server.options import check_address, read_options
    from app.tabs.diagnosing import Diagnosing
    from app.tabs.handlers import Handlers
    from mindrec.errors import MindRecError

    try:
        options = read_options(sys.argv[1:], os.environ, SHIPPED)
        check_address(options.host, options.port)
        shipped = SHIPPED_METHODS if list(options.checkpoints) == SHIPPED else None
        handlers = Handlers.load(
            options.checkpoints,
            data=options.data,
            stories=HERE / "assets" / "stories",
            waiting=options.waiting,
            arena=options.arena or shipped,
        )
        diagnosing = Diagnosing(handlers, list(options.cases), list(options.checkpoints))
        log_to_stderr()
        from app.launch import launch  # after app.server.gpu, which must come before gradio

        launch(handlers, diagnosing, options)
    except MindRecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
