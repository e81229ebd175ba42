"""The replay player in a notebook: `from app.player import use_player; use_player()`, then show a recommendation."""

import html

from app.bundles import bundle_of
from app.page.replay import replay_page
from mindrec.notebook import set_player
from mindrec.trace.records import DecodeTrace

HEIGHT = 760
"""Pixels of the player in a notebook."""


def player_html(trace: DecodeTrace) -> str:
    """The replay of a trace as a frame that can reach neither the notebook nor the network.

    It holds the whole page, under half a megabyte for each recommendation shown.
    """
    page = html.escape(replay_page(bundle_of(trace)))
    return f'<iframe sandbox="allow-scripts" style="width:100%;height:{HEIGHT}px;border:0" srcdoc="{page}"></iframe>'


def use_player() -> None:
    """Let every recommendation with a trace show itself as the replay player, in place of plain tables."""
    set_player(player_html)
