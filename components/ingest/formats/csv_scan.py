"""Split CSV text into rows and fields, in compiled code.

The grammar is RFC 4180's, relaxed as files need it: a row ends with LF, CR LF or CR; empty lines are no rows; spaces
around a quoted value are no part of it; a quote within an unquoted value is a character. It never guesses where a value
ends: after a closing quote a separator or the row's end must come.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.state.jit import compiled

TEXT_END, FULL, STRAY, OPEN = 0, 1, 2, 3  # why a scan ended: the text ended, `rows` are full, text after a quote, a quote never closed
# What a noted row is, as bits. NAMED and SWALLOWING rows are among the rows as well, those with another bit aren't.
UNEVEN, NUL, CUT, HEADER, NAMED, SWALLOWING = 1, 2, 4, 8, 16, 32
NOTE_FIELDS = 6  # of a note: first byte, end, fields, line, bits, its index among the rows
AT, LINE, ROWS, NOTES, QUOTE_LINE, ROW_AT = range(6)  # of the state
STATE_SIZE = 6

_LF, _CR, _SPACE, _NO_BYTE = 10, 13, 32, 256
_ORDINARY, _END, _SEPARATOR, _QUOTE, _ESCAPE, _NUL = range(6)

_MARK = (0xEF, 0xBB, 0xBF)  # of UTF-8

Bytes = NDArray[np.uint8]


class Syntax(NamedTuple):
    """A dialect as compiled code takes it."""

    outside: Bytes  # (256,) kind of each byte outside of quotes
    within: Bytes  # (256,) kind of each byte within quotes
    separator: Bytes
    quote: int  # its byte, -1 for none
    strip: bool  # whether spaces before a value are no part of it


class Columns(NamedTuple):
    """The columns of a file, and which of them are read."""

    fields: int  # how many a row should have; a row of another number is noted, and not among the rows
    slots: NDArray[np.int32]  # (fields,) the output of each field, -1 for none
    header: Bytes  # the header's bytes: a row of just these is noted, and not among the rows
    names: Bytes  # the columns' names, concatenated: a row that begins with one is noted
    name_ends: NDArray[np.int64]  # where each name ends in `names`


class RowArrays(NamedTuple):
    """The output of a scan, and its position in the text."""

    starts: NDArray[np.int32]  # (slots, rows) first byte of a value
    lengths: NDArray[np.int32]  # (slots, rows) its bytes; of a value that holds escaped characters -1 - bytes
    lines: NDArray[np.int64]  # (rows,) the line of the file on which the row begins
    notes: NDArray[np.int64]  # (notes, NOTE_FIELDS)
    state: NDArray[np.int64]  # (STATE_SIZE,) see `scan_rows`


def byte_kinds(separator: bytes, quote: int, escape: int) -> tuple[Bytes, Bytes]:
    """Return the kind of each byte outside of quotes, and within."""
    outside, within = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    for kinds in (outside, within):
        kinds[[_LF, _CR]] = _END
        kinds[0] = _NUL
        if escape >= 0:
            kinds[escape] = _ESCAPE
    outside[separator[0]] = _SEPARATOR
    if quote >= 0:
        within[quote] = _QUOTE
    return outside, within


@compiled
def scan_rows(text: Bytes, final: bool, syntax: Syntax, columns: Columns, out: RowArrays) -> int:
    """Find the rows of a text from `state[AT]` on.

    Args:
        text: UTF-8, or any encoding in which the separator and the quote are those bytes.
        final: whether the file ends with the text, so that the last row is whole.
        syntax: how rows are split.
        columns: how many fields a row has, and which are read.
        out: gets the values, lines and notes. Its `state` holds the first byte not yet used and its line from 1, before
            and after; and after it the number of rows and of notes, and on STRAY and OPEN the line of the quote and the
            first byte of its row.

    Returns:
        MORE, FULL, STRAY or OPEN.
    """
    outside, within, separator, quote, strip = syntax
    fields, slots, header, names, name_ends = columns
    starts, lengths, lines, notes, state = out
    end = len(text)
    at, line = state[AT], state[LINE]
    row = 0
    note = 0
    state[ROWS] = 0
    state[NOTES] = 0
    width = len(separator)
    blank = _NO_BYTE if separator[0] == _SPACE else _SPACE
    while row < len(lines) and note < len(notes):
        while at < end and (text[at] == _LF or text[at] == _CR):
            if text[at] == _CR:
                if at + 1 == end and not final:
                    return TEXT_END
                if at + 1 < end and text[at + 1] == _LF:
                    at += 1
            at += 1
            line += 1
            state[AT], state[LINE] = at, line
        if at >= end:
            return TEXT_END
        if at + 2 < end and text[at] == _MARK[0] and text[at + 1] == _MARK[1] and text[at + 2] == _MARK[2]:
            at += 3  # of a file that was joined to another
        first, first_line = at, line
        count = 0
        bits = 0
        joined = False
        named = False
        while True:  # a field begins at `at`
            begin = at
            escaped = False
            seek = at
            while seek < end and text[seek] == blank:
                seek += 1
            if quote >= 0 and seek < end and text[seek] == quote:
                at = seek + 1
                begin = at
                quote_line = line
                closed = False
                while at < end:
                    kind = within[text[at]]
                    if kind == _ORDINARY:
                        at += 1
                    elif kind == _QUOTE:
                        if at + 1 == end and not final:
                            return TEXT_END
                        if at + 1 < end and text[at + 1] == quote:
                            escaped = True
                            at += 2
                        else:
                            closed = True
                            break
                    elif kind == _ESCAPE:
                        escaped = True
                        at += 1
                        if at < end and text[at] != _LF and text[at] != _CR:
                            at += 1
                    elif kind == _END:
                        if text[at] == _CR and at + 1 < end and text[at + 1] == _LF:
                            at += 1
                        at += 1
                        line += 1
                    else:
                        bits |= NUL
                        at += 1
                if not closed:
                    if not final:
                        return TEXT_END
                    if line == quote_line:
                        # The file ends within the last row.
                        notes[note, 0], notes[note, 1], notes[note, 2] = first, end, count + 1
                        notes[note, 3], notes[note, 4], notes[note, 5] = first_line, CUT, -1
                        state[NOTES] = note + 1
                        state[AT], state[LINE] = end, line
                        return TEXT_END
                    state[QUOTE_LINE] = quote_line
                    state[ROW_AT] = first
                    return OPEN
                size = at - begin
                if line != quote_line:
                    joined = True
                at += 1
                while at < end and text[at] == blank:
                    at += 1
                if at == end and not final:
                    return TEXT_END
                if at < end and outside[text[at]] != _END:
                    fits = at + width <= end
                    for n in range(width):
                        if fits and text[at + n] != separator[n]:
                            fits = False
                    if not fits:
                        if at + width > end and not final:
                            return TEXT_END
                        state[QUOTE_LINE] = quote_line
                        state[ROW_AT] = first
                        state[AT], state[LINE] = at, line
                        return STRAY
            else:
                if strip:
                    begin = seek
                    at = seek
                while at < end:
                    kind = outside[text[at]]
                    if kind == _ORDINARY:
                        at += 1
                    elif kind == _SEPARATOR:
                        if width == 1:
                            break
                        if at + width > end and not final:
                            return TEXT_END
                        fits = at + width <= end
                        for n in range(width):
                            if fits and text[at + n] != separator[n]:
                                fits = False
                        if fits:
                            break
                        at += 1
                    elif kind == _END:
                        break
                    elif kind == _ESCAPE:
                        escaped = True
                        at += 1
                        if at < end:
                            if text[at] == _LF or text[at] == _CR:
                                if text[at] == _CR and at + 1 == end and not final:
                                    return TEXT_END
                                if text[at] == _CR and at + 1 < end and text[at + 1] == _LF:
                                    at += 1
                                line += 1
                            at += 1
                    else:
                        bits |= NUL
                        at += 1
                size = at - begin
            if at == end and not final:
                return TEXT_END
            if count == 0:
                name_start = 0
                for n in range(len(name_ends)):
                    if size == name_ends[n] - name_start and size > 0:
                        same = True
                        for k in range(size):
                            if text[begin + k] != names[name_start + k]:
                                same = False
                                break
                        if same:
                            named = True
                    name_start = name_ends[n]
            if count < fields:
                slot = slots[count]
                if slot >= 0:
                    starts[slot, row] = begin
                    lengths[slot, row] = -1 - size if escaped else size
            count += 1
            if at < end and outside[text[at]] == _SEPARATOR:
                at += width
                continue
            break
        stop = at
        if at < end:  # at a line's end
            if text[at] == _CR:
                if at + 1 == end and not final:
                    return TEXT_END
                if at + 1 < end and text[at + 1] == _LF:
                    at += 1
            at += 1
            line += 1
        if count != fields:
            bits |= UNEVEN
        if stop - first == len(header) and stop > first:
            same = True
            for n in range(stop - first):
                if text[first + n] != header[n]:
                    same = False
                    break
            if same:
                bits = HEADER
        taken = bits == 0
        if named:
            bits |= NAMED
        if joined and fields > 1:
            # Each line of the row has as many separators as a row: a quote that was never closed joins rows so.
            separators = 0
            alike = True
            n = first
            while n < stop:
                if text[n] == _LF or text[n] == _CR:
                    if text[n] == _CR and n + 1 < stop and text[n + 1] == _LF:
                        n += 1
                    if separators != fields - 1:
                        alike = False
                        break
                    separators = 0
                elif outside[text[n]] == _SEPARATOR:
                    fits = n + width <= stop
                    for k in range(width):
                        if fits and text[n + k] != separator[k]:
                            fits = False
                    if fits:
                        separators += 1
                n += 1
            if alike and separators == fields - 1:
                bits |= SWALLOWING
        if bits != 0:
            notes[note, 0], notes[note, 1], notes[note, 2] = first, stop, count
            notes[note, 3], notes[note, 4], notes[note, 5] = first_line, bits, row if taken else -1
            note += 1
        if taken:
            lines[row] = first_line
            row += 1
        state[AT], state[LINE], state[ROWS], state[NOTES] = at, line, row, note
    return FULL


@compiled
def copy_values(
    text: Bytes,
    starts: NDArray[np.int32],
    lengths: NDArray[np.int32],
    quote: int,
    escape: int,
    literal: Any,
    offsets: NDArray[np.int64],
    out: Bytes,
) -> None:
    """Concatenate a column's values, with doubled quotes and escapes resolved.

    An escape before a byte that isn't `literal` is a character, as in a path of Windows; so is that of an unquoted
    `\\N`.
    """
    to = 0
    for row in range(len(starts)):
        offsets[row] = to
        start = starts[row]
        size = lengths[row]
        if size >= 0:
            for n in range(size):
                out[to + n] = text[start + n]
            to += size
        else:
            at = start
            end = start - 1 - size
            while at < end:
                byte = text[at]
                if at + 1 < end and ((byte == escape and literal[text[at + 1]]) or (byte == quote and text[at + 1] == quote)):
                    at += 1
                    byte = text[at]
                out[to] = byte
                to += 1
                at += 1
    offsets[len(starts)] = to
