"""Histories as people hold them: lists, arrays, Series or generators, of text or number ids, become lists of texts."""

from collections.abc import Iterable, Mapping

from mindrec.data.ids import normal_id
from mindrec.errors import MindRecError


def id_text(value) -> str:
    """An id as text. A whole number that a table made a float is the same id: 1001, 1001.0 and "1001" are one.

    Text stays as it is, since it may be a title. Scalars of numpy, torch and pyarrow are the values that they hold.

    Raises:
        MindRecError: a missing value (None, NaN, NaT, NA), or a list in place of an id.
    """
    if isinstance(value, (list, tuple, set, Mapping)) or getattr(value, "ndim", 0):
        raise MindRecError(
            f"an item id is a {type(value).__name__} ({str(value)[:60]}); recommend_many reads several histories"
        )
    for unwrap in ("as_py", "item"):
        if callable(method := getattr(value, unwrap, None)):
            value = method()
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if value is None or not (text := normal_id(value)) or text == "NaT":
        raise MindRecError(f"an item id is missing ({value!r}); drop it from the history")
    return text


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
