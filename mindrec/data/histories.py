"""Histories as people hold them: lists, arrays, Series or generators, of text or number ids, become lists of texts."""

from collections.abc import Iterable, Mapping

from mindrec.errors import MindRecError


def id_text(value) -> str:
    """An id as text. A whole number that a table made a float is the same id: 1001, 1001.0 and "1001" are one.

    Raises:
        MindRecError: a missing value (None, NaN, NaT).
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:  # NaN and NaT are the values that differ from themselves
        raise MindRecError(f"an item id is missing ({value!r}); drop it from the history")
    if not isinstance(value, (bool, int)) and hasattr(value, "is_integer") and value.is_integer():
        return str(int(value))
    return str(value)


def item_texts(history: Iterable) -> list[str]:
    """The ids of one history, oldest first.

    Raises:
        MindRecError: a missing id, or something that is no sequence of ids.
    """
    if isinstance(history, (str, bytes, Mapping)) or not isinstance(history, Iterable):
        raise MindRecError(
            f"the history {str(history)[:60]!r} is of type {type(history).__name__}; give a list of item ids, "
            'oldest first, e.g. ["1001", "1002"]'
        )
    if getattr(history, "ndim", 1) != 1:
        raise MindRecError(f"the history has {history.ndim} dimensions; give one list of item ids, oldest first")
    return [id_text(value) for value in history]
