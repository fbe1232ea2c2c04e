"""Results as JSON, for programs."""

import json


def json_text(value: object) -> str:
    """Return a value as JSON: numbers that are NaN or infinite, which JSON has no word for, become null."""
    plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
    return json.dumps(plain, indent=2, allow_nan=False)
