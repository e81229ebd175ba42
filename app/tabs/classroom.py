"""The class room's questions from the teacher's page: open, ask, look, reveal, close."""

import re
import threading

import segno

from app.server.observing import CALLER
from app.server.rooms import LIVES, Rooms
from app.tabs.asking import plainly
from app.tabs.beating import Beating
from app.tabs.lessons import Lessons
from app.words import room_words as text
from mindrec.errors import MindRecError

MAX_ADDRESS = 300
ADDRESS = re.compile(r"https?://[^\s<>\"'\\]+/")


class Classroom:
    """Answers the projector. What a class is asked is a card of the course or a cart, never words of a request.

    Args:
        rooms: shared with the routes that phones ask.
    """

    def __init__(self, rooms: Rooms, course: Lessons, beating: Beating):
        self.rooms, self.course, self.beating = rooms, course, beating
        self._answers: dict[str, tuple[float, int, str | int]] = {}
        self._lock = threading.Lock()

    @plainly
    def room_open(self, ask: dict) -> dict:
        """A room whose link begins with `address`, this page's own: its code, the teacher's token, link and QR code."""
        address = ask.get("address")
        if not isinstance(address, str) or len(address) > MAX_ADDRESS or not ADDRESS.fullmatch(address):
            raise MindRecError(text.BAD_ADDRESS)
        room = self.rooms.open(CALLER.get().address)
        link = f"{address}room/{room.code}"
        modules = segno.make(link, micro=False).matrix
        qr = ["".join("1" if module else "0" for module in row) for row in modules]
        return {"code": room.code, "teacher": room.teacher, "link": link, "qr": qr}

    @plainly
    def room_ask(self, ask: dict) -> dict:
        """Pose a card's question (`lesson`, its key) or a cart of a `checkpoint`; what the projector shows then."""
        code, teacher = ask.get("code"), ask.get("teacher")
        self.rooms.of_teacher(code, teacher)
        if ask.get("lesson") is not None:
            card = self.course.lesson({"key": ask["lesson"]})
            if "error" in card:
                raise MindRecError(card["error"])
            words, options, answer = card["ask"], card["options"], card["key"]
        else:
            name = self.beating.handlers.name(ask)
            if waiting := self.beating.waiting(name):
                return {"waiting": waiting}
            words, options, answer = self.beating.class_cart(name)
        room = self.rooms.ask(code, teacher, words, options)
        with self._lock:
            now = self.rooms.clock()
            self._answers = {c: kept for c, kept in self._answers.items() if now <= kept[0] + LIVES}
            self._answers[room.code] = (now, room.question.number, answer)
        return room.for_teacher()

    @plainly
    def room_tally(self, ask: dict) -> dict:
        """The projector's view of the moment."""
        return self.rooms.of_teacher(ask.get("code"), ask.get("teacher")).for_teacher()

    @plainly
    def room_reveal(self, ask: dict) -> dict:
        """End the vote and show the answer, on the projector and on all phones."""
        room = self.rooms.of_teacher(ask.get("code"), ask.get("teacher"))
        with self._lock:
            _, number, answer = self._answers.get(room.code, (0.0, 0, 0))
        if not number:
            raise MindRecError(text.NOTHING_ASKED)
        because = ""
        if isinstance(answer, str):
            revealed = self.course.reveal({"key": answer})
            if "error" in revealed:
                raise MindRecError(revealed["error"])
            answer, because = revealed["answer"], revealed["because"]
        return self.rooms.reveal(room.code, ask.get("teacher"), number, answer, because).for_teacher()

    @plainly
    def room_close(self, ask: dict) -> dict:
        """Forget the room."""
        self.rooms.close(ask.get("code"), ask.get("teacher"))
        with self._lock:
            self._answers.pop(str(ask.get("code")).upper(), None)
        return {"closed": True}
