"""The encoding of a text file: by its mark, by what its bytes allow, or by a detector; never in silence."""

import codecs
import re
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from mindrec.errors import MindRecError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MIXED = "mixed"
"""UTF-8 with some lines that are not: two files were joined. Those lines are read as Windows-1252 and counted."""

SAMPLE, CHUNK = 1 << 16, 1 << 20
_PAIR = re.compile(rb"[\x80-\xff][\x40-\x7e\x80-\xff]")
_HAN = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]|[\xa1-\xa3][\xa1-\xfe]")
_KANA = re.compile(rb"[\xa4\xa5][\xa1-\xfe]")
_WESTERN = frozenset("äöüßéèêëàâçñáíóúôûîïæøåìòùÄÖÜÉÈÀÇÑÁÍÓÚÅØÆ¿¡°«»–—’‘“”…€£®©™´·")


def named(encoding: str) -> str:
    """The encoding as Python calls it. Raises MindRecError where there is none of that name."""
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise MindRecError(f"--encoding {encoding!r} is unknown; utf-8, cp1252, gb18030 and utf-16 are some") from error


def encoding_of(stream: BinaryIO, path: Path) -> str:
    """The encoding of a whole stream, which is read to its end where it has no mark.

    Raises:
        MindRecError: the bytes are no text, or the detector cannot tell.
    """
    head = stream.read(SAMPLE)
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    if b"\0" in head[:2000]:
        return _without_mark(head, path)
    odd, fine, decoder, chunk = [], False, codecs.getincrementaldecoder("utf-8")(), head
    while chunk:
        if not chunk.isascii() or odd:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                decoder.reset()
                odd += [line for line in re.split(rb"[\r\n]+", chunk) if not line.isascii()]
                if sum(map(len, odd)) > SAMPLE:
                    break
        chunk = stream.read(CHUNK)
    if not odd:
        return "utf-8"
    fine = any(_is_utf8(line) for line in odd[1:-1] or odd)
    return MIXED if fine else detected(b"\n".join(odd)[:SAMPLE], path)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_mark(head: bytes, path: Path) -> str:
    even, odd = head[:2000:2].count(0), head[1:2000:2].count(0)
    half = len(head[:2000]) / 2
    for count, other, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if count > 0.3 * half and other < 0.05 * half:
            return name
    return "utf-8"  # a stray NUL; what is no text at all is refused when its header is read


def detected(sample: bytes, path: Path) -> str:
    """The encoding of lines that are not UTF-8.

    Chinese, Japanese and Korean by the lead bytes of their common characters, which short titles tell apart where a
    language model cannot; the rest by charset-normalizer. Raises MindRecError where none fits.
    """
    high = sum(byte > 127 for byte in sample)
    pairs = [pair for pair in _PAIR.findall(sample) if pair[1] >= 0xA1]
    common = sum(bool(_HAN.fullmatch(pair)) for pair in pairs)
    kana = sum(bool(_KANA.fullmatch(pair)) for pair in pairs)
    if kana > 0.2 * len(pairs) and 2 * (kana + common) > 0.8 * high:
        return "euc_jp"
    if 2 * common > 0.85 * high:
        return "cp949" if all(pair[0] <= 0xC8 for pair in pairs) and len(pairs) > 3 else "gb18030"
    candidates = ["cp1252", "cp1251", "koi8_r", "cp1250", "shift_jis", "big5", "cp1253", "cp1254"]
    best = from_bytes(sample, cp_isolation=candidates).best()
    western = [char for char in sample.decode("cp1252", "replace") if ord(char) > 127]
    runs = sum(len(run) for run in re.findall(rb"[\x80-\xff]{3,}", sample))  # whole words: another script
    if sum(char in _WESTERN for char in western) >= 0.8 * len(western) and runs < 0.3 * high:
        return "cp1252"
    if best is None or best.encoding in ("ascii", "utf_8"):
        raise MindRecError(
            f"{path.name} is not UTF-8 and its encoding cannot be told; name it with --encoding (cp1252, gb18030, "
            "shift_jis ...)"
        )
    return best.encoding
