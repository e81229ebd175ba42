"""The page's layout and its public endpoints. With app.page and app.launch all that knows Gradio."""

import functools
from collections.abc import Callable

import gradio as gr

from app.page import assets
from app.page.component import Stage, question
from app.public import api
from app.server.rooms import Rooms
from app.tabs.beating import Beating
from app.tabs.belonging import Belonging
from app.tabs.browsing import Browsing
from app.tabs.classroom import Classroom
from app.tabs.comparing import Comparing
from app.tabs.diagnosing import Diagnosing
from app.tabs.dialing import Dialing
from app.tabs.explaining import Explaining
from app.tabs.handlers import Handlers
from app.tabs.lab import Lab
from app.tabs.lessons import Lessons
from app.tabs.mapping import Mapping
from app.tabs.opening import opening
from app.tabs.own_data import OwnData
from app.tabs.watching import Watching
from app.words import sentences as text
from mindrec.errors import MindRecError


def build(
    handlers: Handlers,
    diagnosing: Diagnosing | None = None,
    lab: Lab | None = None,
    own_data: OwnData | None = None,
    rooms: Rooms | None = None,
) -> gr.Blocks:
    """The whole page; without `lab` nobody trains, without `own_data` it has nothing of the dialog that takes files."""
    gr.set_static_paths([assets.plotly_js()])
    w, d, c = Watching(handlers), diagnosing or Diagnosing(handlers), Comparing(handlers)
    browsing, course, dialing = Browsing(handlers), Lessons(handlers), Dialing(handlers)
    lab, beating = lab or Lab(handlers, None), Beating(handlers)
    questions = [
        *_of_watch(w),
    ]
    questions += [
        d.cases,
        d.case_charts,
        d.case,
        d.case_page,
        d.export_cases,
        d.compare_cases,
        d.sample,
        browsing.browse,
        browsing.known,
        c.compare,
        c.agree,
        Belonging(handlers).odd_one_out,
        Belonging(handlers).least_certain,
        dialing.dial,
        *_of_a_trace(handlers),
        *_of_learning(course, lab, beating),
        *_of_a_class(Classroom(rooms or Rooms(), course, beating)),
    ]
    first = opening(handlers) | {"diagnosis": d.opening(), "comparing": c.opening()}
    first |= {"lessons": course.opening(), "dial": dialing.opening(), "lab": lab.opening(), "game": beating.opening()}
    if own_data is not None:
        questions += _of_own_data(own_data)
        first["own"] = own_data.opening()
    with gr.Blocks(title=text.TITLE, analytics_enabled=False, fill_width=True) as page:
        stage = Stage(first, [question(each) for each in questions], elem_id="mindrec-stage")
        if own_data is not None:
            own_data.page = stage.value
        for name, function in api(handlers).items():
            gr.api(_with_plain_errors(function), api_name=name)
    return page


def _of_watch(w: Watching) -> list[Callable]:
    """The questions of the Watch tab."""
    decoding = [w.decode, w.decode_start, w.decode_poll, w.decode_stop]
    return [w.search, *decoding, w.story, w.open_trace, w.trip, w.replay]


def _of_a_trace(handlers: Handlers) -> list[Callable]:
    """The questions about a decode that is done: who did it, and the map."""
    mapping = Mapping(handlers)
    return [Explaining(handlers).why, mapping.item_map, mapping.item_masses]


def _of_learning(course: Lessons, lab: Lab, beating: Beating) -> list[Callable]:
    """The questions of the course, the Lab and Beat the machine."""
    of_lab = [lab.lab_warm, lab.lab_start, lab.lab_poll, lab.lab_stop, lab.lab_open]
    of_game = [beating.game_start, beating.game_seal, beating.game_guess, beating.game_next]
    return [course.lesson, course.reveal, *of_lab, *of_game]


def _of_own_data(dialog: OwnData) -> list[Callable]:
    """The questions of the dialog that takes files."""
    return [
        dialog.own_upload,
        dialog.own_look,
        dialog.own_look_items,
        dialog.own_train,
        dialog.own_poll,
        dialog.own_cancel,
    ]


def _of_a_class(room: Classroom) -> list[Callable]:
    """The questions of the teacher's page; phones have routes of their own."""
    return [room.room_open, room.room_ask, room.room_tally, room.room_reveal, room.room_close]


def _with_plain_errors(function: Callable) -> Callable:
    """A MindRecError reaches the caller of the API as its message."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except MindRecError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call
