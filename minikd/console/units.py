"""Numbers as a reader wants them: 407 kB, 4.2 M, 84 µs."""

import math


def count(number: float) -> str:
    """Return 842, 101,770 in full below a million, then 4.2 M, 11 M, 3.1 G."""
    if number < 999_950:
        return f"{number:,.0f}"
    value, unit = (number / 1e6, "M") if number < 999.5e6 else (number / 1e9, "G")
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:,.0f} {unit}"


def short_count(number: float) -> str:
    """Return 842, 48 k, 4.2 M: two or three digits, for measurements that are no surer than that."""
    if number < 999.5:
        return f"{number:.0f}"
    if number < 999_500:
        return f"{number / 1e3:.1f} k" if number < 9_950 else f"{number / 1e3:.0f} k"
    return count(number)


def size(number: float) -> str:
    """Return a file's size in decimal units, as a disk's maker counts: 512 B, 407 kB, 1.7 MB."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.1f} {unit}" if number < 99.95 and unit != "B" else f"{number:.0f} {unit}"
        number /= 1e3
    return f"{number:,.1f} GB"


def percent(fraction: float) -> str:
    """Return 0.9935 as 99.35, for a column headed %; 100.00 is kept for what is exactly all."""
    shown = f"{100 * fraction:.2f}"
    return "99.99" if shown == "100.00" and fraction < 1 else shown


def milliseconds(number: float) -> str:
    """Return a latency: 84 µs, 1.2 ms, 35 ms."""
    if number < 0.9995:
        return f"{number * 1e3:.0f} µs"
    return f"{number:.1f} ms" if number < 99.95 else f"{number:,.0f} ms"


def seconds(number: float) -> str:
    """Return a duration: 8.3 s, 45 s, 2 min 57 s, 1 h 05 min."""
    if number < 9.95:
        return f"{number:.1f} s"
    whole = round(number)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def errors(number: int) -> str:
    """Return "1 error", "1,234 errors"."""
    return f"{number:,} error{'' if number == 1 else 's'}"


def interval(low: float, high: float) -> str:
    """Return "47–79" or "0.4–12": rounded outwards; a bound above 0 is not shown as 0."""
    least, most = math.floor(round(low, 6)), math.ceil(round(high, 6))
    return f"{low:.1f}–{most:,}" if 0.05 < low < 1 else f"{least:,}–{most:,}"


def p_value(p: float) -> str:
    """Return "p = 0.031", "p < 0.0001" or "p = 1"."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def times(larger: float, smaller: float) -> str:
    """Return how many times larger: "4.1", "41", "1,200"."""
    ratio = larger / smaller
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"
