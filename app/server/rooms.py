"""Class rooms: a teacher poses questions, phones vote without names, and the votes are counted.

Pure: no gradio, no HTTP. All in memory, bounded in rooms, members and bytes, and gone two hours after it was opened.
A member is a random token that the server gave; nothing else is known of anybody.
"""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from app.server.lanes import Busy, Gone
from app.words import room_words as text
from mindrec.errors import MindRecError

LIVES = 7_200.0
"""Seconds that a room is open."""
MAX_ROOMS = 64
MAX_OF_ONE = 8
"""Rooms that one network address may have open."""
MAX_MEMBERS = 400
MAX_OPTIONS, MAX_ASK, MAX_OPTION = 12, 800, 160
"""Options of a question, and characters of its text and of an option; longer texts are cut."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"
"""Of a code: nothing that is mistaken for another, and no vowels, so that no word comes out."""
CODE_LENGTH = 6
_NOBODY: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Question:
    """A question to a class.

    Attributes:
        number: from 1, in a room.
        answer, because: the right option and why; None and empty until they are revealed.
    """

    number: int
    ask: str
    options: tuple[str, ...]
    answer: int | None = None
    because: str = ""


@dataclass(frozen=True)
class Room:
    """A room as it is at one moment.

    Attributes:
        teacher: the token without which nothing is asked or revealed.
        opened: when, by the clock of its Rooms.
        members: tokens of those who joined.
        votes: of the question of now, the option by member.
    """

    code: str
    teacher: str
    address: str
    opened: float
    members: frozenset[str] = frozenset()
    question: Question | None = None
    votes: Mapping[str, int] = field(default_factory=lambda: _NOBODY)
    revealed: bool = False

    def counts(self) -> list[int]:
        """Votes for each option of the question of now."""
        counts = Counter(self.votes.values())
        return [counts[n] for n in range(len(self.question.options) if self.question else 0)]

    def for_teacher(self) -> dict:
        """The projector's view: the votes as they come, the answer once it is revealed."""
        out = {"code": self.code, "members": len(self.members), "votes": len(self.votes), "revealed": self.revealed}
        if self.question is None:
            return out | {"number": 0}
        q = self.question
        out |= {"number": q.number, "ask": q.ask, "options": list(q.options), "counts": self.counts()}
        return out | ({"answer": q.answer, "because": q.because} if self.revealed else {})

    def for_phone(self) -> dict:
        """A phone's view: it holds votes and answer only after they are revealed."""
        out = self.for_teacher()
        return out if self.revealed else {key: value for key, value in out.items() if key not in ("counts", "votes")}


class Rooms:
    """All open rooms.

    Args:
        clock: seconds, of any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()

    def open(self, address: str = "") -> Room:
        """A new room. Raises Busy where there is no room for it."""
        with self._lock:
            self._drop_old()
            mine = sum(room.address == address for room in self._rooms.values())
            if len(self._rooms) >= MAX_ROOMS or (address and mine >= MAX_OF_ONE):
                raise Busy(text.NO_ROOM)
            code = self._free_code()
            room = self._rooms[code] = Room(code, secrets.token_urlsafe(18), address, self.clock())
            return room

    def join(self, code: object) -> str:
        """A new member's token. Raises Gone where there is no such room, Busy where it is full."""
        with self._lock:
            room = self._find(code)
            if len(room.members) >= MAX_MEMBERS:
                raise Busy(text.FULL.format(most=MAX_MEMBERS))
            member = secrets.token_urlsafe(9)
            self._rooms[room.code] = replace(room, members=room.members | {member})
            return member

    def see(self, code: object) -> Room:
        """A room as it is. Raises Gone."""
        with self._lock:
            return self._find(code)

    def of_teacher(self, code: object, teacher: object) -> Room:
        """A room, for who opened it. Raises Gone where there is no such room, or the token is another one."""
        with self._lock:
            return self._taught(code, teacher)

    def ask(self, code: object, teacher: object, words: str, options: Sequence[str]) -> Room:
        """Pose the next question; votes for the one before are forgotten. Raises Gone, or MindRecError without options.

        The answer is not needed before `reveal`.
        """
        if not 2 <= len(options) <= MAX_OPTIONS:
            raise MindRecError(text.NO_OPTIONS.format(count=len(options), most=MAX_OPTIONS))
        with self._lock:
            room = self._taught(code, teacher)
            number = room.question.number + 1 if room.question else 1
            question = Question(number, _cut(words, MAX_ASK), tuple(_cut(each, MAX_OPTION) for each in options))
            room = replace(room, question=question, votes=_NOBODY, revealed=False)
            self._rooms[room.code] = room
            return room

    def vote(self, code: object, member: object, number: object, choice: object) -> None:
        """A member's vote for an option of question `number`; a later one replaces it, until the reveal.

        Raises:
            Gone: there is no such room, or no such member in it.
            MindRecError: the question is another one by now, is revealed, or has no such option.
        """
        with self._lock:
            room = self._find(code)
            if not isinstance(member, str) or member not in room.members:
                raise Gone(text.NO_MEMBER)
            question = room.question
            if question is None or type(number) is not int or number != question.number:
                raise MindRecError(text.OTHER_QUESTION)
            if room.revealed:
                raise MindRecError(text.REVEALED)
            if type(choice) is not int or not 0 <= choice < len(question.options):
                raise MindRecError(text.NO_OPTION.format(options=len(question.options)))
            votes = MappingProxyType({**room.votes, member: choice})
            self._rooms[room.code] = replace(room, votes=votes)

    def reveal(self, code: object, teacher: object, number: int, answer: int, because: str = "") -> Room:
        """End the vote on question `number` and show its answer. Raises Gone, or MindRecError for another question."""
        with self._lock:
            room = self._taught(code, teacher)
            if room.question is None or room.question.number != number:
                raise MindRecError(text.OTHER_QUESTION)
            question = replace(room.question, answer=answer, because=_cut(because, MAX_ASK))
            room = self._rooms[room.code] = replace(room, question=question, revealed=True)
            return room

    def close(self, code: object, teacher: object) -> None:
        """Forget a room, its members and votes. Raises Gone."""
        with self._lock:
            del self._rooms[self._taught(code, teacher).code]

    def _find(self, code: object) -> Room:
        self._drop_old()
        room = self._rooms.get(code.upper()) if isinstance(code, str) and len(code) == CODE_LENGTH else None
        if room is None:
            raise Gone(text.GONE)
        return room

    def _taught(self, code: object, teacher: object) -> Room:
        room = self._find(code)
        given = teacher if isinstance(teacher, str) else ""
        if not secrets.compare_digest(given.encode("utf-8", "surrogatepass"), room.teacher.encode()):
            raise Gone(text.NOT_THE_TEACHER)
        return room

    def _drop_old(self) -> None:
        now = self.clock()
        for code in [code for code, room in self._rooms.items() if now > room.opened + LIVES]:
            del self._rooms[code]

    def _free_code(self) -> str:
        while True:
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
            if code not in self._rooms:
                return code


def _cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1] + "…"
