"""Words of the class room: the projector's, the phones', and the refusals."""

NO_ROOM = "Every class room is taken at the moment. One is free when another is closed, or after two hours."
FULL = "This room is full: it has {most} phones."
GONE = "There is no room with this code. Rooms close after two hours."
NO_MEMBER = "This phone is not in the room. Open its link again."
NOT_THE_TEACHER = "This room was opened by another page, or is closed."
OTHER_QUESTION = "The class is at another question by now."
REVEALED = "The answer is shown, so no vote is taken any more."
NO_OPTION = "A vote is the number of one of the {options} options."
NO_OPTIONS = "A question has 2 to {most} options, not {count}."
BAD_ADDRESS = "A room's link begins with the address of this page, such as https://example.org/."
NOTHING_ASKED = "Nothing was asked in this room yet."

ROOM = {
    "title": "Class room",
    "opening": "Opening a room…",
    "join": "Join with a phone",
    "code": "Code",
    "qr": "QR code of the link {link}",
    "present": "{members} in the room, {votes} voted",
    "loopback": (
        "Phones cannot reach this address. Start the app with --host 0.0.0.0 and open it by this machine's name."
    ),
    "reveal": "Reveal",
    "revealing": "Working out the answer…",
    "next": "Next question",
    "hide": "Back to the page",
    "close": "End the room",
    "closed": "The room is closed; its votes are forgotten.",
    "bar": "{option}: {votes}",
    "right": "right answer",
    "wait": "The question appears on the phones.",
}

PHONE = {
    "title": "MindRec class room",
    "room": "Room {code}",
    "enter": "Room code",
    "go": "Join",
    "joining": "Joining…",
    "wait": "You are in. Wait for the first question.",
    "vote": "Choose one. You can change it until the answer is shown.",
    "voted": "Your vote counts: {option}",
    "sending": "Sending…",
    "right": "right answer",
    "yours": "your vote",
    "result": "The answer: {option}",
    "again": "No connection. Trying again…",
    "bar": "{votes}",
    "nothing": "No name is asked for, and nothing is kept after the room closes.",
    "failed": "This did not work. Try again.",
}
