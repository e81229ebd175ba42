"""Games of "Beat the machine": who has guessed which part of which cart, kept on the server, bounded and short-lived.

Pure: no gradio, no model. What the right answers are is the caller's business; a game only knows which guesses were
taken, in which order, and whether in time.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.server.lanes import Gone
from app.words import game_words as text
from mindrec.errors import MindRecError

SECONDS = 20.0
"""For both guesses of a cart, where the clock is on."""
GRACE = 4.0
"""Seconds more, for the way to the server and back."""
LIVES = 3600.0
"""Seconds after its last guess in which a game is kept."""
MAX_GAMES = 4_000
PASSED = -1
"""A guess that was not made, or came too late."""


@dataclass(frozen=True)
class Guesses:
    """The guesses for one cart: numbers of options, PASSED, or None while they are open. The aisle goes first."""

    aisle: int | None = None
    item: int | None = None

    @property
    def stage(self) -> str:
        """The guess that is due: "aisle", "item", or "done"."""
        return "aisle" if self.aisle is None else "item" if self.item is None else "done"


@dataclass(frozen=True)
class Game:
    """A game on its way.

    Attributes:
        seeds: one for each cart, from which it is dealt.
        timed: whether guesses must come within SECONDS of the deal.
        dealt, touched: when the cart of now was dealt, and the last question about it.
        rounds: guesses so far; the last one is of the cart of now.
    """

    key: str
    kind: str
    checkpoint: str
    seeds: tuple[str, ...]
    timed: bool
    dealt: float
    touched: float
    rounds: tuple[Guesses, ...] = (Guesses(),)

    @property
    def number(self) -> int:
        """The cart of now, from 0."""
        return len(self.rounds) - 1

    @property
    def seed(self) -> str:
        """Of the cart of now."""
        return self.seeds[self.number]


class Games:
    """All games; the one that was longest untouched gives way to a new one.

    Args:
        clock: seconds, of any beginning.
        limit: games kept.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = MAX_GAMES):
        self.clock, self.limit = clock, limit
        self._games: OrderedDict[str, Game] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, kind: str, checkpoint: str, seeds: tuple[str, ...], timed: bool) -> Game:
        """A new game, its first cart dealt now."""
        now = self.clock()
        with self._lock:
            game = Game(secrets.token_urlsafe(12), kind, checkpoint, seeds, timed, now, now)
            self._keep(game)
        return game

    def find(self, key: object) -> Game:
        """The game of a key. Raises Gone where there is none."""
        with self._lock:
            return self._find(key)

    def guess(self, key: object, number: object, stage: object, choice: object, options: int) -> Game:
        """Take one guess, and give the game after it. A guess that is too late counts as PASSED.

        Args:
            number, stage: the cart and the part of it that are guessed; each can be guessed once, in order.
            choice: the number of an option, or None to pass. Passing the aisle leaves the item open, a late guess does
                not.

        Raises:
            Gone: there is no such game.
            MindRecError: another guess is due, or the choice is no option.
        """
        with self._lock:
            game = self._find(key)
            last = game.rounds[-1]
            if type(number) is not int or number != game.number or stage != last.stage or last.stage == "done":
                raise MindRecError(text.NOT_DUE)
            if choice is not None and (type(choice) is not int or not 0 <= choice < options):
                raise MindRecError(text.NO_OPTION.format(options=options))
            late = game.timed and self.clock() > game.dealt + SECONDS + GRACE
            value = PASSED if late or choice is None else choice
            done = replace(last, **{stage: value})
            if late and stage == "aisle":
                done = Guesses(PASSED, PASSED)
            game = replace(game, touched=self.clock(), rounds=(*game.rounds[:-1], done))
            self._keep(game)
            return game

    def next_cart(self, key: object) -> Game:
        """Deal the next cart of a run. Raises Gone, or MindRecError before the guesses are made and after the last."""
        with self._lock:
            game = self._find(key)
            if game.rounds[-1].stage != "done" or len(game.rounds) >= len(game.seeds):
                raise MindRecError(text.NOT_DUE)
            now = self.clock()
            game = replace(game, dealt=now, touched=now, rounds=(*game.rounds, Guesses()))
            self._keep(game)
            return game

    def _find(self, key: object) -> Game:
        game = self._games.get(key) if isinstance(key, str) else None
        if game is None or self.clock() > game.touched + LIVES:
            raise Gone(text.GONE)
        return game

    def _keep(self, game: Game) -> None:
        self._games[game.key] = game
        self._games.move_to_end(game.key)
        while len(self._games) > self.limit:
            self._games.popitem(last=False)
