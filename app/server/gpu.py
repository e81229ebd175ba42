"""Where a host lends its GPU for each decode (Hugging Face ZeroGPU), decodes run in the process that has it.

`spaces` is the host's package; without it, or away from ZeroGPU, nothing here does anything. It must be imported before
CUDA is touched, which is why this module imports it at once.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import chain

from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommendation, Recommender
from mindrec.system.failures import out_of_memory
from mindrec.trace.records import DecodeStep

if find_spec("spaces") is None:

    def on_gpu(function: Callable) -> Callable:
        """The function itself: no GPU is lent here."""
        return function

else:
    from spaces import GPU as on_gpu


class LentDecoding:
    """The counterpart of recommender.Decoding for a decode that runs in another process.

    Attributes:
        recorded: the trace steps of each user so far.
        users: those still wanted; only emptying it stops the decode, after the step of the moment.
    """

    def __init__(self, messages: Iterator, count: int):
        self._messages, self._results = messages, []
        self.recorded: list[list[DecodeStep]] = [[] for _ in range(count)]
        self.users = set(range(count))

    def __iter__(self) -> Iterator[int]:
        """Run the search; yields the number of each step once it is here. Raises what the other process met."""
        for number, value in enumerate(self._messages):
            if isinstance(value, (MindRecError, MemoryError)):
                raise value
            if isinstance(value[0], Recommendation):
                self._results = value
                return
            for steps, new in zip(self.recorded, value, strict=True):
                steps.extend(new)
            yield number

    def result(self, user: int) -> Recommendation:
        """The recommendation of one user, once the decode is over."""
        return self._results[user]


def lent(recommender: Callable[[], Recommender]) -> Callable[..., LentDecoding] | None:
    """A way to decode histories of item rows where a GPU is lent for it; else None. Call it before the launch."""

    def work(rows: Sequence, config: DecodeConfig, gold: Sequence) -> Iterator:
        """In the process with the GPU: only plain data goes in and comes out, and an error is told, not raised."""
        try:
            run = recommender().decoding_rows(rows, config, gold=gold)
            sent = [0] * len(rows)
            for _ in chain(run, [None]):  # and once more: the last steps are recorded when the search is over
                yield [steps[n:] for steps, n in zip(run.recorded, sent, strict=True)]
                sent = [len(steps) for steps in run.recorded]
            yield [run.result(user) for user in range(len(rows))]
        except MindRecError as error:
            yield error
        except Exception as error:
            if not out_of_memory(error):
                raise
            yield MemoryError("out of memory on the GPU")

    borrowed = on_gpu(work)
    if borrowed is work:
        return None
    return lambda rows, config, gold: LentDecoding(borrowed(rows, config, gold), len(rows))
