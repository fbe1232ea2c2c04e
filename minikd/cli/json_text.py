"""Results as JSON, for programs."""

import json


def json_text(value: object) -> str:
    """Return a value as JSON. Numbers that are NaN or infinite become null, because JSON cannot express them."""
    plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
    return json.dumps(plain, indent=2, allow_nan=False)
