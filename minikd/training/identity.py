"""A text with everything that determines the bits of a trained model. It is stored with the model and compared later.

The text is a JSON table. It has settings as they are, so that a message can name both values of a change, and digests
of arrays. Paths of data and weights, and the backend, are not part of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from minikd.backends import to_host
from minikd.data import Views
from minikd.models import describe
from minikd.nn import Sequential
from minikd.nn.renamed import as_before
from minikd.settings import new_name
from minikd.typing import Array

FOLLOWING = {
    "layers": "the network's layers are others",
    "images": "the training images are others",
    "labels": "the training labels are others",
    "class_names": "the classes have other names, or another order",
    "first_weights": "the first weights are others",
    "teachers": "the teacher's weights are others",
    "weights": "the weights given as teacher are others",
    "method_file": "the method's file, or a file that it imports, has changed",
    "view_seed": "the seed of the views is another",
    "mean": "the pixels' mean is another",
    "std": "the pixels' deviation is another",
}
"""The entries that are not settings, and the message if one of them has changed and no setting has."""


def identity_of(
    name: str, model: Sequential, views: Views, plan: Mapping[str, object], settings: Mapping[str, object]
) -> str:
    """Return the identity of a training: of the untrained model, the views, the plan and other settings."""
    varied = {} if views.augmentation is None else asdict(views.augmentation)
    table = {
        "name": name,
        **plan,
        **settings,
        **varied,
        "network": describe(model),
        "layers": as_before(model.in_one_line()),
        "mean": views.mean,
        "std": views.std,
        "view_seed": views.seed,
        "dtype": np.dtype(views.dtype).name,
        "first_weights": digest_of(model),
        "images": digest(views.images),
        "labels": digest(views.labels),
    }
    return json.dumps(table, default=str)


def digest_of(model: Sequential) -> str:
    """Return the digest of a network: of its layers and all their values."""
    return digest(*(to_host(value) for value in model.state_dict().values()), what=as_before(model.in_one_line()))


def digest(*arrays: Array, what: str = "") -> str:
    """Return 32 hexadecimal digits that identify the arrays."""
    found = hashlib.sha256(what.encode())
    for array in arrays:
        found.update(repr((array.shape, str(array.dtype))).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:32]


def changes(before: str, now: str) -> str:
    """Return how one identity differs from another, as "epochs was 5 and is 6", or "" if they are the same."""
    try:
        old, new = by_new_names(before), by_new_names(now)
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    except (ValueError, TypeError, AttributeError):
        return "what it was trained by is not known" if before != now else ""
    settings = [name for name in names if name not in FOLLOWING]
    told = [f"{name} was {shown(old.get(name))} and is {shown(new.get(name))}" for name in settings]
    return "; ".join(told or [text for name, text in FOLLOWING.items() if name in names])


def by_new_names(identity: str) -> dict[str, object]:
    """Return an identity's table, with renamed settings under their new names."""
    return {new_name(name): value for name, value in json.loads(identity).items()}


def shown(value: object) -> str:
    """Return a setting's value, shortened to fit on a line."""
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
