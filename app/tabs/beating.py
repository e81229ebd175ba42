"""The Play tab's questions: a cart with a hidden item, guessed by a person and by the machines."""

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache

from app.server.games import SECONDS, Game, Games
from app.server.lanes import Busy
from app.tabs.asking import plainly
from app.tabs.carts import Cart, choices, deal, machines
from app.tabs.handlers import Handlers
from app.words import game_words as text
from app.words import sentences
from mindrec.data.splits import item_counts
from mindrec.errors import MindRecError

RUN = 10
KINDS = ("one", "daily", "run")
AISLE_POINTS, ITEM_POINTS = 1, 2
YOU = "you"


def today() -> date:
    """The day of the daily cart, the same everywhere."""
    return datetime.now(UTC).date()


class Beating:
    """Answers the Play tab. What a guess is about leaves the server only after the guess.

    Args:
        games: kept on the server, so that no page can say what it guessed.
        day: gives the day of the daily cart.
    """

    def __init__(self, handlers: Handlers, games: Games | None = None, day: Callable[[], date] = today):
        self.handlers, self.games, self.day = handlers, games or Games(), day
        self._cart = lru_cache(maxsize=512)(self._deal)
        self._choice = lru_cache(maxsize=2048)(self._choose)
        self._counts = lru_cache(maxsize=8)(lambda name: item_counts(handlers.trips(name).data.interactions))

    def opening(self) -> dict:
        """The checkpoint that plays: the first whose test trips are here. None where there is none."""
        name = next((n for n in self.handlers.recommenders if self.handlers.has_trips(n)), None)
        return {"checkpoint": name, "twin": name is not None and "twin" in machines(self.handlers, name)}

    @plainly
    def game_start(self, ask: dict) -> dict:
        """A new game of a `kind`, its first cart; {"waiting": words} while the test trips are being prepared.

        A daily game is of `day`, YYYY-MM-DD, or of today; a cart of a day to come is not dealt.
        """
        name, kind = self.handlers.name(ask), ask.get("kind")
        if kind not in KINDS:
            raise MindRecError(text.NO_SUCH_KIND.format(kind=str(kind)[:20]))
        seeds = tuple(secrets.token_hex(8) for _ in range(RUN if kind == "run" else 1))
        if kind == "daily":
            seeds = (self._daily(ask.get("day")),)
        if waiting := self.waiting(name):
            return {"waiting": waiting}
        return self._view(self.games.start(kind, name, seeds, ask.get("timed") is not False))

    @plainly
    def game_seal(self, ask: dict) -> dict:
        """Let one machine choose; its choice stays here until the person has guessed."""
        game = self.games.find(ask.get("game"))
        machine = ask.get("machine")
        if machine not in machines(self.handlers, game.checkpoint):
            raise MindRecError(sentences.NOT_UNDERSTOOD.format(what="machine"))
        return {"machine": machine, "sealed": self._chosen(game.checkpoint, game.seed, machine) is not None}

    @plainly
    def game_guess(self, ask: dict) -> dict:
        """Take a guess for cart `number`, its `stage` "aisle" or "item": the number of an option, or None to pass."""
        game = self.games.find(ask.get("game"))
        cart, stage = self._cart(game.checkpoint, game.seed), ask.get("stage")
        options = len(cart.aisles) if stage == "aisle" else len(cart.items)
        return self._view(self.games.guess(game.key, ask.get("number"), stage, ask.get("choice"), options))

    @plainly
    def game_next(self, ask: dict) -> dict:
        """The next cart of a run."""
        return self._view(self.games.next_cart(ask.get("game")))

    def waiting(self, name: str) -> str | None:
        """Why no cart can be dealt yet; None where one can. Raises MindRecError where it never can."""
        trips = self.handlers.trips(name)
        return trips.waiting() if trips.ready() is None else None

    def class_cart(self, name: str) -> tuple[str, list[str], int]:
        """A cart as one question for a class: what is asked, nine options, and the number of the right one."""
        cart = self._cart(name, secrets.token_hex(8))
        words = text.CLASS_ASK.format(items=", ".join(self._titles(name, cart.history)))
        return words, self._titles(name, cart.items), cart.item

    def _daily(self, day) -> str:
        now = self.day()
        try:
            wanted = now if day is None else date.fromisoformat(day)
        except (TypeError, ValueError):
            wanted = None
        if wanted is None or wanted > now:
            raise MindRecError(text.NO_SUCH_DAY.format(day=str(day)[:20], today=now.isoformat()))
        return wanted.isoformat()

    def _deal(self, name: str, seed: str) -> Cart:
        trips = self.handlers.trips(name)
        return deal(self.handlers.recommenders[name].catalog, self._counts(name), trips.ready(), seed)

    def _choose(self, name: str, seed: str, machine: str) -> tuple[int, int]:
        return choices(self.handlers, machines(self.handlers, name)[machine], self._cart(name, seed))

    def _chosen(self, name: str, seed: str, machine: str) -> tuple[int, int] | None:
        """A machine's aisle and item; None where every lane is taken."""
        try:
            return self._choice(name, seed, machine)
        except Busy:
            return None

    def _titles(self, name: str, rows) -> list[str]:
        return [self.handlers.recommenders[name].catalog.items[row].title for row in rows]

    def _view(self, game: Game) -> dict:
        """All that a person may know of a game now: of an answer nothing before its guess."""
        name, cart, guesses = game.checkpoint, self._cart(game.checkpoint, game.seed), game.rounds[-1]
        stage = guesses.stage
        out = {
            "game": game.key,
            "kind": game.kind,
            "checkpoint": name,
            "day": game.seed if game.kind == "daily" else None,
            "number": game.number,
            "count": len(game.seeds),
            "stage": stage,
            "seconds": self._left(game),
            "cart": self._titles(name, cart.history),
            "aisles": [path[-1] for path in cart.aisles],
            "machines": list(machines(self.handlers, name)),
        }
        if stage == "aisle":
            return out
        out["items"] = self._titles(name, cart.items)
        out["aisle"] = self._answer(game, cart.aisle, guesses.aisle, 0)
        if stage == "item":
            return out
        out["item"] = self._answer(game, cart.item, guesses.item, 1)
        items = self.handlers.recommenders[name].catalog.items
        out["watch"] = {"ids": [items[row].item_id for row in cart.history], "target": items[cart.target].item_id}
        return out | {"points": self._points(game), "share": self._share(game)}

    def _left(self, game: Game) -> float | None:
        """Seconds left on the clock; None where there is none."""
        return max(0.0, SECONDS - (self.games.clock() - game.dealt)) if game.timed else None

    def _answer(self, game: Game, right: int, guess: int, part: int) -> dict:
        """The right option of a part, the person's, and each machine's; None for a guess that was not made."""
        choices = {m: self._chosen(game.checkpoint, game.seed, m) for m in machines(self.handlers, game.checkpoint)}
        of_machines = {m: None if chosen is None else chosen[part] for m, chosen in choices.items()}
        return {"right": right, YOU: guess if guess >= 0 else None, "machines": of_machines}

    def _marks(self, game: Game) -> dict[str, list[tuple[bool, bool]]]:
        """For each player and each cart so far, whether aisle and item are right."""
        out: dict[str, list[tuple[bool, bool]]] = {}
        for seed, guesses in zip(game.seeds, game.rounds, strict=False):
            cart = self._cart(game.checkpoint, seed)
            made = {YOU: (guesses.aisle, guesses.item)}
            made |= {m: self._chosen(game.checkpoint, seed, m) for m in machines(self.handlers, game.checkpoint)}
            for player, chosen in made.items():
                aisle, item = chosen or (None, None)
                out.setdefault(player, []).append((aisle == cart.aisle, item == cart.item))
        return out

    def _points(self, game: Game) -> dict[str, int]:
        return {player: sum(map(_worth, marks)) for player, marks in self._marks(game).items()}

    def _share(self, game: Game) -> str:
        """The result in lines to post, without a word of the cart."""
        words = text.GAME
        values = {"day": game.seed, "number": game.number + 1, "count": len(game.seeds)}
        title = words["share_title"].format(kind=words[f"kind_{game.kind}"].format(**values))
        lines = [title if game.timed else f"{title}, {words['untimed']}"]
        for player, marks in self._marks(game).items():
            if game.kind == "run":
                full = len(marks) * (AISLE_POINTS + ITEM_POINTS)
                lines.append(words["share_run"].format(who=words[player], points=sum(map(_worth, marks)), most=full))
            else:
                aisle, item = ("✓" if right else "✗" for right in marks[0])
                lines.append(words["share_line"].format(who=words[player], aisle=aisle, item=item))
        return "\n".join(lines)


def _worth(mark: tuple[bool, bool]) -> int:
    aisle, item = mark
    return AISLE_POINTS * aisle + ITEM_POINTS * item
