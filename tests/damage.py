"""Damage to a file's bytes, drawn by hypothesis: what disks, copies, editors and enemies do."""

from hypothesis import strategies as st

PLACES = st.integers(0, 2**24)
LENGTHS = st.integers(1, 64)

TOKENS = (
    *(b"", b"\0", b"\n", b"\r", b",", b'"', b"[", b"]", b"{", b"}", b"=", b"#", b".", b"-", b"\xef\xbb\xbf", b"\xff"),
    *(b"null", b"true", b"NaN", b"nan", b"-inf", b"Infinity", b"1e999", b"-1", b"0", b"1.5", b'"a"', b"\\u0000"),
    *(b"9" * 30, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"x" * 200_000, b"\x1b[31m"),
)


def flipped(data, place, bit):
    where = place % len(data)
    return data[:where] + bytes([data[where] ^ 1 << bit]) + data[where + 1 :]


def overwritten(data, place, length, filling):
    where = place % len(data)
    return data[:where] + bytes([filling]) * min(length, len(data) - where) + data[where + length :]


def without(data, place, length):
    where = place % len(data)
    return data[:where] + data[where + length :]


def cut_short(data, place):
    return data[: place % len(data)]


def with_inserted(data, place, extra):
    where = place % (len(data) + 1)
    return data[:where] + extra + data[where:]


def spliced(data, place, length, token):
    where = place % len(data)
    return data[:where] + token + data[where + length :]


def exchanged(data, place, other, length):
    first, second = sorted((place % len(data), other % len(data)))
    length = min(length, second - first)
    one, two = data[first : first + length], data[second : second + length]
    return data[:first] + two + data[first + length : second] + one + data[second + length :]


def repeated(data, place, length):
    where = place % len(data)
    return data[: where + length] + data[where:]


OPERATIONS = st.one_of(
    st.tuples(st.just(flipped), PLACES, st.integers(0, 7)),
    st.tuples(st.just(flipped), PLACES, st.integers(0, 7)),
    st.tuples(st.just(overwritten), PLACES, LENGTHS, st.sampled_from((0, 255, 32, 48, 10))),
    st.tuples(st.just(without), PLACES, LENGTHS),
    st.tuples(st.just(cut_short), PLACES),
    st.tuples(st.just(with_inserted), PLACES, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just(spliced), PLACES, st.integers(0, 12), st.sampled_from(TOKENS)),
    st.tuples(st.just(exchanged), PLACES, PLACES, LENGTHS),
    st.tuples(st.just(repeated), PLACES, LENGTHS),
)

DAMAGES = st.lists(OPERATIONS, min_size=1, max_size=2)


def damaged(data, damages):
    """Return the bytes after all of the damages."""
    for operation, *arguments in damages:
        data = operation(data, *arguments) if data else data
    return data
