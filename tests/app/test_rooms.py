"""Class rooms: no vote is lost or counted twice, nothing leaks before the reveal, and all of it is bounded."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server import rooms as bounds
from app.server.lanes import Busy, Gone
from app.server.rooms import CODE_LENGTH, LETTERS, LIVES, MAX_MEMBERS, MAX_OF_ONE, MAX_ROOMS, Rooms
from mindrec.errors import MindRecError

SCRIPT = "<script>alert(1)</script>"


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


acts = st.lists(
    st.one_of(
        st.just(("join",)),
        st.just(("ask",)),
        st.just(("reveal",)),
        st.tuples(st.just("vote"), st.integers(0, 5), st.integers(-1, 4), st.integers(0, 3)),
    ),
    max_size=60,
)


@given(acts)
def test_no_vote_is_lost_or_counted_twice_in_any_order(acts):
    """Against a plain account: the last vote of each member for the question of now, if it came before the reveal."""
    rooms = Rooms(Clock())
    room = rooms.open()
    members, account, number, shown = [], {}, 0, False
    for act, *rest in acts:
        if act == "join":
            members.append(rooms.join(room.code))
        elif act == "ask":
            rooms.ask(room.code, room.teacher, "?", ["a", "b", "c", "d"])
            number, account, shown = number + 1, {}, False
        elif act == "reveal" and number:
            rooms.reveal(room.code, room.teacher, number, 1)
            shown = True
        elif act == "vote":
            who, choice, about = rest
            member = members[who] if who < len(members) else "nobody"
            right = who < len(members) and number and about == number and not shown and 0 <= choice < 4
            if right:
                rooms.vote(room.code, member, about, choice)
                account[member] = choice
            else:
                with pytest.raises((Gone, MindRecError)):
                    rooms.vote(room.code, member, about, choice)
        seen = rooms.of_teacher(room.code, room.teacher).for_teacher()
        expected = Counter(account.values())
        assert seen.get("counts", []) == ([expected[n] for n in range(4)] if number else [])
        assert seen["votes"] == len(account) <= seen["members"] == len(members)


def test_votes_of_many_threads_are_all_counted():
    rooms = Rooms()
    room = rooms.open()
    rooms.ask(room.code, room.teacher, "?", ["a", "b", "c"])

    def phone(n):
        member = rooms.join(room.code)
        for choice in (0, 1, n % 3):
            rooms.vote(room.code, member, 1, choice)

    phones = [threading.Thread(target=phone, args=(n,)) for n in range(60)]
    for each in phones:
        each.start()
    for each in phones:
        each.join()
    assert rooms.see(room.code).counts() == [20, 20, 20]


def test_phones_know_nothing_of_votes_or_answer_before_the_reveal():
    rooms = Rooms(Clock())
    room = rooms.open()
    assert rooms.see(room.code).for_phone() == {
        "code": room.code, "members": 0, "revealed": False, "number": 0
    }  # fmt: skip
    member = rooms.join(room.code)
    rooms.ask(room.code, room.teacher, "?", ["a", "b"])
    rooms.vote(room.code, member, 1, 1)
    assert not {"counts", "votes", "answer", "because"} & set(rooms.see(room.code).for_phone())
    rooms.reveal(room.code, room.teacher, 1, 0, "so it is")
    seen = rooms.see(room.code).for_phone()
    assert (seen["counts"], seen["answer"], seen["because"]) == ([0, 1], 0, "so it is")
    assert member not in str(seen)
    assert room.teacher not in str(seen)


def test_a_room_is_gone_after_two_hours():
    clock = Clock()
    rooms = Rooms(clock)
    room = rooms.open()
    clock.now = LIVES
    assert rooms.see(room.code)
    clock.now = LIVES + 1
    for ask in (rooms.see, rooms.join):
        with pytest.raises(Gone):
            ask(room.code)
    with pytest.raises(Gone):
        rooms.of_teacher(room.code, room.teacher)
    assert not rooms._rooms


@pytest.mark.parametrize("code", [SCRIPT, "", "ABCDE", "../../", None, 7, [], {}, "\ud800" * 6, "A" * 10**6, "%00%00"])
def test_forged_codes_find_nothing(code):
    rooms = Rooms()
    rooms.open()
    with pytest.raises(Gone):
        rooms.see(code)


@pytest.mark.parametrize("token", ["", "x", None, 7, "\ud800", [], SCRIPT])
def test_forged_tokens_do_nothing(token):
    rooms = Rooms()
    room = rooms.open()
    rooms.ask(room.code, room.teacher, "?", ["a", "b"])
    for act in (
        lambda: rooms.ask(room.code, token, "!", ["c", "d"]),
        lambda: rooms.reveal(room.code, token, 1, 0),
        lambda: rooms.close(room.code, token),
        lambda: rooms.vote(room.code, token, 1, 0),
    ):
        with pytest.raises(Gone):
            act()
    assert rooms.see(room.code).question.ask == "?"
    other = rooms.open()
    with pytest.raises(Gone):
        rooms.of_teacher(room.code, other.teacher)
    with pytest.raises(Gone):
        rooms.vote(room.code, rooms.join(other.code), 1, 0)


def test_floods_meet_bounds(monkeypatch):
    rooms = Rooms()
    for _ in range(MAX_OF_ONE):
        rooms.open("1.2.3.4")
    with pytest.raises(Busy):
        rooms.open("1.2.3.4")
    for _ in range(MAX_ROOMS - MAX_OF_ONE):
        room = rooms.open()
    with pytest.raises(Busy):
        rooms.open("5.6.7.8")
    rooms.close(room.code, room.teacher)
    room = rooms.open("5.6.7.8")
    monkeypatch.setattr(bounds, "MAX_MEMBERS", 20)
    for _ in range(20):
        rooms.join(room.code)
    with pytest.raises(Busy, match="full"):
        rooms.join(room.code)


def test_texts_are_cut_and_questions_have_options():
    rooms = Rooms()
    room = rooms.open()
    question = rooms.ask(room.code, room.teacher, "x" * 10**5, ["y" * 10**5, "z"]).question
    assert len(question.ask) == bounds.MAX_ASK
    assert len(question.options[0]) == bounds.MAX_OPTION
    for options in ([], ["a"], ["a"] * 13):
        with pytest.raises(MindRecError, match="options"):
            rooms.ask(room.code, room.teacher, "?", options)


def test_codes_are_short_and_plain():
    rooms = Rooms()
    codes = {rooms.open().code for _ in range(MAX_ROOMS)}
    assert len(codes) == MAX_ROOMS
    assert all(len(code) == CODE_LENGTH and set(code) <= set(LETTERS) for code in codes)
    assert not set(LETTERS) & set("AEIOU01")
    assert rooms.see(codes.pop().lower())
    assert MAX_MEMBERS >= 200
