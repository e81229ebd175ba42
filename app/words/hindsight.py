"""Where the eventual answer of a decode stands at each of its steps, and where it parts from its closest rival."""

from dataclasses import dataclass
from math import exp

from app.words.shares import percent
from mindrec.trace.records import DecodeStep, DecodeTrace


@dataclass(frozen=True)
class Hindsight:
    """Facts of a decode that are known once it has ended.

    Attributes:
        winner: for each step, the rank of the beam that becomes the answer; empty while the decode runs.
        parts: the step at which the answer and the second one are first of different beams; None where there is none.
        rival: title of the second answer.
    """

    winner: tuple[int, ...] = ()
    parts: int | None = None
    rival: str = ""

    @classmethod
    def of(cls, trace: DecodeTrace) -> "Hindsight":
        """Follow the first two answers back to the start by the parents of their beams."""
        ends = {beam.item: rank for rank, beam in enumerate(trace.steps[-1].beams) if beam.item is not None}
        first, *others = [ends[result.row] for result in trace.results if result.row in ends] or [None]
        if first is None:
            return cls()
        winner = lineage(trace, first)
        if not others:
            return cls(winner)
        second = lineage(trace, others[0])
        titles = {item.row: item.title for item in trace.items}
        parts = next((n for n, (a, b) in enumerate(zip(winner, second, strict=True)) if a != b), None)
        return cls(winner, parts, titles.get(trace.steps[-1].beams[others[0]].item, ""))

    def words(self, step: DecodeStep) -> str:
        """A sentence about the eventual answer where there is something to say at a step, else nothing."""
        if not self.winner:
            return ""
        rank, before, said = self.winner[step.index], self.winner[step.index - 1], []
        if rank:
            share = percent(exp(min(step.beams[rank].score, 0.0)))
            said.append(f"The eventual answer is only beam {rank + 1} here, with {share}.")
        elif before:
            said.append(f"The eventual answer takes the lead, from beam {before + 1}.")
        if self.parts == step.index and self.rival:
            said.append(f"The answer parts from its closest rival here, “{self.rival}”.")
        return " ".join(said)


def lineage(trace: DecodeTrace, rank: int) -> tuple[int, ...]:
    """For each step, the rank of the beam from which the last step's beam `rank` descends."""
    ranks = [rank]
    for step in reversed(trace.steps[1:]):
        ranks.append(step.beams[ranks[-1]].parent)
    return tuple(reversed(ranks))
