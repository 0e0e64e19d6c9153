"""Find JSON values in bytes: compiled scans that record where each requested value begins, where it ends and of what
kind it is.

Only requested values are parsed; whatever else an object holds is skipped, strings and brackets kept in balance. RFC
8259 is the grammar, and besides it the words NaN, Infinity and -Infinity, which Python's `json` and others write.

Rows may be lines (JSON Lines), span several lines, or be the elements of one array that spans the file.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.state.jit import compiled

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int32]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Kinds of a value. NaN is as good as null; LONG is a number with more digits than a float holds.
ABSENT, NULL, FALSE, TRUE, INT, FLOAT, LONG, INFINITE, TEXT, ESCAPED, ARRAY, OBJECT = range(12)

# What a scan's `state` holds, by index.
AT, LINE, IN_ARRAY, AFTER_ROW, ENDED_LINE, FAULT_AT, FAULT, BEGUN_AT, BEGUN_LINE, FAULT_ROW, FAULT_KEY, HAS_ESCAPE = range(12)
STATE_SIZE = 12

# Why a scan can't continue.
INCOMPLETE, WRONG, DOUBLED, DEEP, WORD, SURROGATE, ESCAPE = -1, -2, -3, -4, -5, -6, -7
MAX_DEPTH = 1_000
LONGEST_KEY = 4_096  # with an escape in it; others are as long as they like
BUCKETS = 256
_DIGITS = 17  # a float keeps all numbers of so many digits apart from their neighbours


class KeyTable(NamedTuple):
    """Requested keys as a hash table."""

    content: Bytes  # the bytes of all keys
    bounds: Numbers  # where each begins and the last ends
    table: Numbers  # the first key of each bucket, then of each key the next one in its bucket; -1 for none


class Spans(NamedTuple):
    """Where values are in a buffer, and of what kind: one-dimensional, or (keys, rows)."""

    starts: Offsets
    ends: Offsets
    kinds: Bytes


class RowArrays(NamedTuple):
    """What a scan of rows fills."""

    values: Spans  # (keys, rows) of the values in the arenas
    arenas: Bytes  # (keys, bytes) the values of a key one after another, strings without their escapes
    lines: Numbers  # (rows,) the line of each row, from 0
    current: Spans  # (keys, 1) of the values of one row in the buffer


class Workspace(NamedTuple):
    """The arrays that the scans of one thread share."""

    state: Numbers  # (STATE_SIZE,)
    stack: Bytes  # (MAX_DEPTH,) the open brackets
    scratch: Bytes  # (LONGEST_KEY,) an unescaped key
    words: Bytes  # WORDS


@compiled
def skip_space(buffer: Bytes, at: int, end: int, state: Numbers) -> int:
    """Return the next position that isn't white space, and count line ends."""
    while at < end:
        byte = buffer[at]
        if byte > 32:
            break
        if byte == 10:
            state[LINE] += 1
        elif byte == 13:
            if at + 1 < end and buffer[at + 1] != 10:
                state[LINE] += 1
        elif byte != 32 and byte != 9:
            break
        at += 1
    return at


@compiled
def end_of_text(buffer: Bytes, at: int, end: int, state: Numbers) -> int:
    """Return the position of the closing quote of a string whose first character is at `at`."""
    state[HAS_ESCAPE] = 0
    while at < end:
        byte = buffer[at]
        if byte == 34:
            return at
        if byte == 92:
            state[HAS_ESCAPE] = 1
            at += 1
            if at < end and (buffer[at] == 10 or buffer[at] == 13):
                state[FAULT_AT] = at
                return WRONG
        elif byte == 10 or byte == 13:  # A string ends on its line: so the error names the line that lacks a quote.
            state[FAULT_AT] = at
            return WRONG
        at += 1
    return INCOMPLETE


@compiled
def end_of_word(buffer: Bytes, at: int, end: int) -> int:
    """Return where a number or a word such as `true` ends."""
    while at < end:
        byte = buffer[at]
        if byte <= 32 or byte == 44 or byte == 93 or byte == 125 or byte == 34 or byte == 91 or byte == 123 or byte == 58:
            break
        at += 1
    return at


@compiled
def skip_nested(buffer: Bytes, at: int, end: int, state: Numbers, stack: Bytes) -> int:
    """Return where an object or array that begins at `at` has ended."""
    depth = 0
    expected = 0  # 0 value, 1 key or }, 2 key, 3 value or ], 4 comma or closing bracket
    while True:
        at = skip_space(buffer, at, end, state)
        if at >= end:
            return INCOMPLETE
        byte = buffer[at]
        closed = False
        if expected == 4:
            if byte == 44:
                expected = 2 if stack[depth - 1] == 125 else 0
                at += 1
            elif byte == stack[depth - 1]:
                closed = True
            else:
                state[FAULT_AT] = at
                return WRONG
        elif expected == 1 or expected == 2:
            if byte == 34:
                at = end_of_text(buffer, at + 1, end, state)
                if at < 0:
                    return at
                at = skip_space(buffer, at + 1, end, state)
                if at >= end:
                    return INCOMPLETE
                if buffer[at] != 58:
                    state[FAULT_AT] = at
                    return WRONG
                at += 1
                expected = 0
            elif byte == 125 and expected == 1:
                closed = True
            else:
                state[FAULT_AT] = at
                return WRONG
        elif byte == 34:
            at = end_of_text(buffer, at + 1, end, state)
            if at < 0:
                return at
            at += 1
            expected = 4
        elif byte == 123 or byte == 91:
            if depth == MAX_DEPTH:
                state[FAULT_AT] = at
                return DEEP
            stack[depth] = byte + 2  # its closing bracket
            depth += 1
            at += 1
            expected = 1 if byte == 123 else 3
        elif byte == 93 and expected == 3:
            closed = True
        else:
            after = end_of_word(buffer, at, end)
            if after == at:
                state[FAULT_AT] = at
                return WRONG
            at = after
            expected = 4
        if closed:
            at += 1
            depth -= 1
            if depth == 0:
                return at
            expected = 4


@compiled
def is_word(buffer: Bytes, at: int, end: int, word: Bytes) -> bool:
    """Return whether the bytes are exactly that word."""
    same = end - at == len(word)
    i = 0
    while same and i < len(word):
        same = buffer[at + i] == word[i]
        i += 1
    return same


@compiled
def number_kind(buffer: Bytes, at: int, end: int) -> int:
    """Return INT, FLOAT or LONG; WORD where it is no number of JSON."""
    if at < end and buffer[at] == 45:
        at += 1
    if at >= end or buffer[at] < 48 or buffer[at] > 57:
        return WORD
    if buffer[at] == 48 and at + 1 < end and buffer[at + 1] >= 48 and buffer[at + 1] <= 57:
        return WORD  # 007 is no number
    kind, digits, nonzero = INT, 0, False
    while at < end and buffer[at] >= 48 and buffer[at] <= 57:
        nonzero = nonzero or buffer[at] != 48
        digits += 1 if nonzero else 0
        at += 1
    if at < end and buffer[at] == 46:
        kind = FLOAT
        at += 1
        if at >= end or buffer[at] < 48 or buffer[at] > 57:
            return WORD
        while at < end and buffer[at] >= 48 and buffer[at] <= 57:
            nonzero = nonzero or buffer[at] != 48
            digits += 1 if nonzero else 0
            at += 1
    if at < end and (buffer[at] == 101 or buffer[at] == 69):
        kind = FLOAT
        at += 1
        if at < end and (buffer[at] == 43 or buffer[at] == 45):
            at += 1
        if at >= end or buffer[at] < 48 or buffer[at] > 57:
            return WORD
        while at < end and buffer[at] >= 48 and buffer[at] <= 57:
            at += 1
    if at != end:
        return WORD
    return LONG if kind == FLOAT and digits > _DIGITS else kind


@compiled
def word_kind(buffer: Bytes, at: int, end: int, words: Bytes) -> int:
    """Return the kind of a number or a word; `words` are the bytes of WORDS."""
    first = buffer[at]
    if first == 45 or (first >= 48 and first <= 57):
        if first == 45 and is_word(buffer, at + 1, end, words[17:25]):
            return INFINITE
        return number_kind(buffer, at, end)
    if is_word(buffer, at, end, words[0:4]):
        return NULL
    if is_word(buffer, at, end, words[4:8]):
        return TRUE
    if is_word(buffer, at, end, words[8:13]):
        return FALSE
    if is_word(buffer, at, end, words[13:16]):
        return NULL
    if is_word(buffer, at, end, words[17:25]):
        return INFINITE
    return WORD


WORDS = np.frombuffer(b"nulltruefalseNaN-Infinity", np.uint8)


@compiled
def four_hex(buffer: Bytes, at: int, end: int) -> int:
    """Return the number of four hexadecimal digits, or WRONG."""
    if at + 4 > end:
        return WRONG
    number = 0
    for i in range(at, at + 4):
        byte = buffer[i]
        if byte >= 48 and byte <= 57:
            number = number * 16 + byte - 48
        elif byte >= 97 and byte <= 102:
            number = number * 16 + byte - 87
        elif byte >= 65 and byte <= 70:
            number = number * 16 + byte - 55
        else:
            return WRONG
    return number


@compiled
def put_unescaped(buffer: Bytes, at: int, end: int, out: Bytes, to: int) -> int:
    """Write a string's characters from `to` on; return where they end, ESCAPE for an unknown escape, SURROGATE for
    half a pair."""
    while at < end:
        byte = buffer[at]
        at += 1
        if byte != 92:
            out[to] = byte
            to += 1
            continue
        byte = buffer[at]
        at += 1
        if byte == 117:
            code = four_hex(buffer, at, end)
            if code < 0:
                return ESCAPE
            at += 4
            if code >= 0xD800 and code < 0xE000:
                if code >= 0xDC00 or at + 6 > end or buffer[at] != 92 or buffer[at + 1] != 117:
                    return SURROGATE
                low = four_hex(buffer, at + 2, end)
                if low < 0xDC00 or low >= 0xE000:
                    return SURROGATE
                at += 6
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            if code < 0x80:
                out[to] = code
                to += 1
            elif code < 0x800:
                out[to] = 0xC0 | (code >> 6)
                out[to + 1] = 0x80 | (code & 0x3F)
                to += 2
            elif code < 0x10000:
                out[to] = 0xE0 | (code >> 12)
                out[to + 1] = 0x80 | ((code >> 6) & 0x3F)
                out[to + 2] = 0x80 | (code & 0x3F)
                to += 3
            else:
                out[to] = 0xF0 | (code >> 18)
                out[to + 1] = 0x80 | ((code >> 12) & 0x3F)
                out[to + 2] = 0x80 | ((code >> 6) & 0x3F)
                out[to + 3] = 0x80 | (code & 0x3F)
                to += 4
            continue
        if byte == 110:
            byte = 10
        elif byte == 116:
            byte = 9
        elif byte == 114:
            byte = 13
        elif byte == 98:
            byte = 8
        elif byte == 102:
            byte = 12
        elif byte != 34 and byte != 92 and byte != 47:
            return ESCAPE
        out[to] = byte
        to += 1
    return to


@compiled
def bucket_of(buffer: Bytes, at: int, end: int) -> int:
    """Return the bucket of a key in the table of requested ones."""
    if end == at:
        return 0
    return int(end - at + 7 * np.int64(buffer[at]) + 13 * np.int64(buffer[end - 1])) % BUCKETS


@compiled
def find_key(buffer: Bytes, at: int, end: int, keys: KeyTable) -> int:
    """Return the number of a key among the requested ones, -1 where it isn't."""
    key = int(keys.table[bucket_of(buffer, at, end)])
    while key >= 0:
        first = keys.bounds[key]
        if keys.bounds[key + 1] - first == end - at:
            same = True
            for i in range(end - at):
                if keys.content[first + i] != buffer[at + i]:
                    same = False
                    break
            if same:
                return key
        key = int(keys.table[BUCKETS + key])
    return -1


@compiled
def scan_object(buffer: Bytes, at: int, end: int, row: int, keys: KeyTable, out: Spans, work: Workspace) -> int:
    """Record the requested members of the object whose brace precedes `at`; return where it has ended, or a fault."""
    state, stack, scratch, words = work
    starts, ends, kinds = out
    opened = True
    while True:
        at = skip_space(buffer, at, end, state)
        if at >= end:
            return INCOMPLETE
        if buffer[at] == 125 and opened:
            return at + 1
        if not opened:
            if buffer[at] == 125:
                return at + 1
            if buffer[at] != 44:
                state[FAULT_AT] = at
                return WRONG
            at = skip_space(buffer, at + 1, end, state)
            if at >= end:
                return INCOMPLETE
        opened = False
        if buffer[at] != 34:
            state[FAULT_AT] = at
            return WRONG
        first = at + 1
        at = end_of_text(buffer, first, end, state)
        if at < 0:
            return at
        key = -1
        if state[HAS_ESCAPE] == 0:
            key = find_key(buffer, first, at, keys)
        elif at - first <= LONGEST_KEY:
            length = put_unescaped(buffer, first, at, scratch, 0)
            if length >= 0:
                key = find_key(scratch, 0, length, keys)
        at = skip_space(buffer, at + 1, end, state)
        if at >= end:
            return INCOMPLETE
        if buffer[at] != 58:
            state[FAULT_AT] = at
            return WRONG
        at = skip_space(buffer, at + 1, end, state)
        if at >= end:
            return INCOMPLETE
        first = at
        byte = buffer[at]
        if byte == 34:
            at = end_of_text(buffer, at + 1, end, state)
            if at < 0:
                return at
            first += 1
            last = at
            at += 1
            kind = ESCAPED if state[HAS_ESCAPE] else TEXT
        elif byte == 123 or byte == 91:
            at = skip_nested(buffer, at, end, state, stack)
            if at < 0:
                return at
            last = at
            kind = OBJECT if byte == 123 else ARRAY
        else:
            at = end_of_word(buffer, at, end)
            if at >= end:
                return INCOMPLETE
            last = at
            if at == first:
                state[FAULT_AT] = at
                return WRONG
            kind = NULL
            if key >= 0:
                kind = word_kind(buffer, first, at, words)
                if kind < 0:
                    state[FAULT_AT] = first
                    state[FAULT_KEY] = key
                    return WORD
        if key >= 0:
            if kinds[key, row] != ABSENT:
                state[FAULT_KEY] = key
                return DOUBLED
            starts[key, row] = first
            ends[key, row] = last
            kinds[key, row] = kind


@compiled
def put_row(buffer: Bytes, current: Spans, row: int, out: Spans, arenas: Bytes, state: Numbers) -> int:
    """Copy a row's values to the arenas while they are in the processor's cache; return 0, ESCAPE or SURROGATE."""
    starts, ends, kinds = out
    for key in range(len(kinds)):
        kind = current.kinds[key, 0]
        to = ends[key, row - 1] if row else 0
        starts[key, row] = to
        if kind == ESCAPED:
            after = put_unescaped(buffer, current.starts[key, 0], current.ends[key, 0], arenas[key], to)
            if after < 0:
                state[FAULT_KEY], state[FAULT_AT] = key, current.starts[key, 0]
                return after
            to, kind = after, TEXT
        elif kind > NULL:
            for i in range(current.starts[key, 0], current.ends[key, 0]):
                arenas[key, to] = buffer[i]
                to += 1
        ends[key, row] = to
        kinds[key, row] = kind
    return 0


@compiled
def scan_rows(buffer: Bytes, end: int, final: bool, keys: KeyTable, out: RowArrays, work: Workspace) -> int:
    """Copy the requested members of the rows from `state[AT]` on, as many as `lines` has room for; return how many rows
    there were.

    `state[AT]` is then where the next scan begins, `state[FAULT]` what went wrong.

    Args:
        buffer: of the file, up to `end`.
        end: of the bytes to scan.
        final: whether nothing comes after them.
        keys: the requested ones.
        out: gets the rows.
        work: of the thread.
    """
    _, arenas, lines, current = out
    state = work.state
    at, rows = state[AT], 0
    state[FAULT] = 0
    while rows < len(lines):
        at = skip_space(buffer, at, end, state)
        state[AT] = at
        state[BEGUN_AT], state[BEGUN_LINE] = at, state[LINE]
        if at >= end:
            if final and state[IN_ARRAY]:
                state[FAULT], state[FAULT_AT] = INCOMPLETE, at
            return rows
        byte = buffer[at]
        if state[IN_ARRAY] and state[AFTER_ROW] and byte == 44:
            state[AFTER_ROW] = 0
            at += 1
            continue
        if state[IN_ARRAY] and byte == 93 and state[AFTER_ROW] != 0:
            state[IN_ARRAY], state[AFTER_ROW], state[ENDED_LINE] = 0, 0, state[LINE]
            at += 1
            continue
        apart = state[AFTER_ROW] <= 0 or state[AFTER_ROW] == 2 if state[IN_ARRAY] else state[ENDED_LINE] != state[LINE]
        if not apart or (byte != 123 and (byte != 91 or state[IN_ARRAY])):
            state[FAULT], state[FAULT_AT] = WRONG, at
            return rows
        if byte == 91:
            state[IN_ARRAY], state[AFTER_ROW] = 1, 2  # 2: nothing yet, so that it may end
            at += 1
            continue
        for key in range(len(current.kinds)):
            current.kinds[key, 0] = ABSENT
        at = scan_object(buffer, at + 1, end, 0, keys, current, work)
        if at < 0:
            if at == INCOMPLETE and not final:
                state[LINE] = state[BEGUN_LINE]
            else:
                state[FAULT] = at
            return rows
        fault = put_row(buffer, current, rows, out.values, arenas, state)
        if fault < 0:
            state[FAULT] = fault
            return rows
        state[AFTER_ROW], state[ENDED_LINE] = 1, state[LINE]
        lines[rows] = state[BEGUN_LINE]
        rows += 1
        state[AT] = at
    return rows


@compiled
def scan_messages(buffer: Bytes, bounds: Numbers, keys: KeyTable, out: RowArrays, faults: Numbers, work: Workspace) -> int:
    """Copy the requested members of messages, each of which is one object; return how many rows there were.

    Whatever a message holds, the next one is scanned from its own beginning.

    Args:
        buffer: the messages one after another.
        bounds: (messages + 1,) where each begins and the last ends.
        keys: the requested ones.
        out: gets the rows; the `lines` are indices of messages.
        faults: (messages, 3) gets of each 0 or why it is no row, the key, and where.
        work: of the thread.
    """
    values, arenas, lines, current = out
    state = work.state
    rows = 0
    for message in range(len(bounds) - 1):
        end = bounds[message + 1]
        at = skip_space(buffer, bounds[message], end, state)
        state[FAULT_KEY], state[FAULT_AT] = 0, at
        if at >= end:
            fault = INCOMPLETE
        elif buffer[at] != 123:
            fault = WRONG
        else:
            for key in range(len(current.kinds)):
                current.kinds[key, 0] = ABSENT
            fault = scan_object(buffer, at + 1, end, 0, keys, current, work)
            if fault >= 0:
                at = skip_space(buffer, fault, end, state)
                if at < end:
                    state[FAULT_AT] = at
                    fault = WRONG
                else:
                    fault = put_row(buffer, current, rows, values, arenas, state)
        faults[message, 0], faults[message, 1], faults[message, 2] = fault, state[FAULT_KEY], state[FAULT_AT]
        if fault == 0:
            lines[rows] = message
            rows += 1
    return rows


@compiled
def scan_members(buffer: Bytes, values: Spans, keys: KeyTable, out: Spans, work: Workspace) -> None:
    """Record the requested members of values that are objects."""
    work.state[FAULT] = 0
    for row in range(len(values.kinds)):
        if values.kinds[row] == OBJECT:
            at = scan_object(buffer, values.starts[row] + 1, values.ends[row], row, keys, out, work)
            if at < 0:
                work.state[FAULT], work.state[FAULT_ROW] = at, row
                return


@compiled
def scan_elements(buffer: Bytes, values: Spans, counts: Numbers, out: Spans, work: Workspace) -> int:
    """Record the elements of values that are arrays, one after another; return how many there are. `counts`: of each
    array."""
    state, stack, _, words = work
    starts, ends, kinds = out
    state[FAULT] = 0
    total = 0
    for row in range(len(values.kinds)):
        counts[row] = 0
        if values.kinds[row] != ARRAY:
            continue
        end = values.ends[row]
        at = skip_space(buffer, values.starts[row] + 1, end, state)
        while buffer[at] != 93:
            first, byte = at, buffer[at]
            if byte == 34:
                at = end_of_text(buffer, at + 1, end, state)
                first += 1
                last = at
                at += 1
                kind = ESCAPED if state[HAS_ESCAPE] else TEXT
            elif byte == 123 or byte == 91:
                at = skip_nested(buffer, at, end, state, stack)
                last = at
                kind = OBJECT if byte == 123 else ARRAY
            else:
                at = end_of_word(buffer, at, end)
                last = at
                kind = word_kind(buffer, first, at, words)
                if kind < 0:
                    state[FAULT], state[FAULT_AT], state[FAULT_ROW] = WORD, first, row
                    return total
            starts[total], ends[total], kinds[total] = first, last, kind
            total += 1
            counts[row] += 1
            at = skip_space(buffer, at, end, state)
            if buffer[at] == 44:
                at = skip_space(buffer, at + 1, end, state)
    return total


@compiled
def put_wholes(buffer: Bytes, values: Spans, out: Numbers) -> bool:
    """Write the whole numbers; return whether all fit."""
    for row in range(len(values.kinds)):
        out[row] = 0
        if values.kinds[row] != INT:
            continue
        at, end = values.starts[row], values.ends[row]
        negative = buffer[at] == 45
        if negative:
            at += 1
        if end - at > 19:
            return False
        number = np.int64(0)
        for i in range(at, end):
            number = number * 10 - (np.int64(buffer[i]) - 48)  # below zero: there is one more of them
            if number > 0:
                return False
        if not negative:
            if number == -9223372036854775808:
                return False
            number = -number
        out[row] = number
    return True


@compiled
def put_texts(buffer: Bytes, values: Spans, offsets: Numbers, out: Bytes, state: Numbers) -> None:
    """Write the values' texts one after another, and where each begins and the last ends."""
    begins, stops, kinds = values
    state[FAULT] = 0
    to = 0
    for row in range(len(kinds)):
        offsets[row] = to
        if kinds[row] == ESCAPED:
            after = put_unescaped(buffer, begins[row], stops[row], out, to)
            if after < 0:
                state[FAULT], state[FAULT_ROW], state[FAULT_AT] = after, row, begins[row]
                return
            to = after
        elif kinds[row] > NULL:
            for i in range(begins[row], stops[row]):
                out[to] = buffer[i]
                to += 1
    offsets[len(kinds)] = to


@compiled
def are_words(buffer: Bytes, values: Spans, word: Bytes, out: Flags, scratch: Bytes) -> None:
    """Write whether each value is a word, as text or written without quotes."""
    begins, stops, kinds = values
    for row in range(len(kinds)):
        kind = kinds[row]
        if kind == ESCAPED and stops[row] - begins[row] <= LONGEST_KEY:
            after = put_unescaped(buffer, begins[row], stops[row], scratch, 0)
            out[row] = after >= 0 and is_word(scratch, 0, after, word)
        else:
            out[row] = kind > NULL and kind < ARRAY and is_word(buffer, begins[row], stops[row], word)


@compiled
def are_empty(buffer: Bytes, values: Spans, out: Flags, state: Numbers) -> None:
    """Write whether each value holds nothing, in any form: no value, null, an empty string, array or object."""
    begins, stops, kinds = values
    for row in range(len(kinds)):
        kind = kinds[row]
        if kind >= ARRAY:
            out[row] = skip_space(buffer, begins[row] + 1, stops[row], state) == stops[row] - 1
        else:
            out[row] = kind <= NULL or (kind == TEXT and stops[row] == begins[row])
