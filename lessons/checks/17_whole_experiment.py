"""What lesson 17's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work

WORDS = ("undecided", "fewer", "more")


def check(work: Work) -> None:
    """Check the split of uneven classes, then the word for four pairs of students."""
    labels = np.random.default_rng(3).permutation(np.repeat([0, 1, 4], [7, 20, 11]))
    held = held_out(labels)
    for name, part, want in (("held", 1, held), ("train", 0, np.setdiff1d(np.arange(len(labels)), held))):
        work.same(
            "split",
            (labels, 0.3, np.random.default_rng(5)),
            want,
            claim=f"split: {name}",
            part=lambda found, part=part: found[part],
            suspects={
                "train and held are swapped": np.setdiff1d(np.arange(len(labels)), want),
                "they are not sorted": unsorted(labels) if name == "held" else want,
            },
        )
    work.same(
        "split",
        (labels, 0.3, np.random.default_rng(5)),
        [2, 6, 3],
        claim="split: each class gives its share, rounded down",
        part=lambda found: np.bincount(labels[found[1]].astype(np.intp), minlength=5)[[0, 1, 4]],
    )
    cases = {
        "fewer in every seed": ([111, 126, 118], [182, 165, 201], 1),
        "more in every seed": ([280, 275, 290, 284], [222, 230, 219, 225], 2),
        "fewer on average, because of one lucky seed": ([100, 171, 170, 173], [180, 170, 172, 171], 0),
        "both are good on the same seeds: only the paired differences show who is better": (
            [101, 201, 301, 401],
            [111, 210, 312, 410],
            1,
        ),
    }
    for claim, (ours, theirs, word) in cases.items():
        work.same(
            "verdict",
            (np.array(ours), np.array(theirs)),
            word,
            claim=f"verdict: {claim}",
            part=lambda found: WORDS.index(found) if found in WORDS else np.nan,
            suspects={
                f'you return "{other}": check the sign of ours - theirs, and the interval of the differences': code
                for code, other in enumerate(WORDS)
                if code != word
            },
        )


def held_out(labels: np.ndarray) -> np.ndarray:
    """Return the samples that are held out, sorted."""
    return np.sort(unsorted(labels))


def unsorted(labels: np.ndarray) -> np.ndarray:
    """Return the samples that are held out, class by class as they are drawn."""
    rng, held = np.random.default_rng(5), []
    for one in np.unique(labels):
        members = np.flatnonzero(labels == one)
        held.append(rng.permutation(members)[: int(0.3 * len(members))])
    return np.concatenate(held)
