"""Reports the results: a table of all pitfalls, paragraphs about one pitfall, or the numbers for JSON."""

from collections.abc import Mapping, Sequence

from minikd.console.layout import aligned, paragraph, styled
from minikd.evidence.pitfalls.checks import CHECKS
from minikd.evidence.pitfalls.examine import Examined
from minikd.evidence.pitfalls.scene import TEMPERATURE
from minikd.evidence.pitfalls.training import Cost, PairedTraining

LEGEND = (
    "length, cosine: compare the gradient of the teacher's term with respect to the student's weights with the right "
    "one, on one fixed random batch: the ratio of their lengths, and the cosine of the angle between them (1: same "
    "direction). checked: whether finite differences find the bug. They compare a loss's gradient with its value. So "
    "they pass a loss whose value and gradient are both wrong, and they never see what is outside the loss. caught "
    "by: a check that finds the bug. Each check was run just now, on the bug and on the right version."
)


def table(found: Sequence[Examined], costs: Mapping[str, Cost]) -> str:
    """Return a line for each pitfall, a table for each group."""
    header = ("", "length", "cosine", "checked", "caught by", *(["errors, right → bug (95 %)"] if costs else []))
    groups = dict.fromkeys(one.pitfall.group for one in found)
    parts = []
    for group in groups:
        rows = [row(one, costs) for one in found if one.pitfall.group == group]
        parts.append(f"{styled(group, 'bold')}\n{aligned((header,), rows, left=(3, 4))}")
    return "\n\n".join(parts)


def row(one: Examined, costs: Mapping[str, Cost]) -> tuple[str, ...]:
    """Return a pitfall's cells."""
    bend, name = one.gradient, one.pitfall.caught_by
    cosine = "–" if bend.cosine is None else f"{bend.cosine:.3f}"
    checked = "finds it" if one.found["gradient check"] else "passes it"
    cost = [cost_line(costs[one.pitfall.name])] if costs else []
    return one.pitfall.name, f"{bend.ratio:.3f}", cosine, checked, name if one.caught else f"NOT by {name}", *cost


def cost_line(cost: Cost) -> str:
    """Return the mean errors without and with the bug, and their difference with its interval."""
    right, wrong = (sum(errors) / len(errors) for errors in (cost.right, cost.wrong))
    margin = "" if cost.margin is None else f" ± {cost.margin:.0f}"
    return f"{right:.0f} → {wrong:.0f} ({cost.mean:+.0f}{margin})"


def recipe_text(recipe: PairedTraining, seeds: int, alone: Sequence[int]) -> str:
    """Say how the errors were measured."""
    mean = sum(alone) / len(alone)
    return (
        f"errors: on {recipe.judged:,} MNIST training images that no model learns from, means over seeds 0 to "
        f"{seeds - 1}. In brackets: the mean difference and, from two seeds on, its 95 % interval (Student's t over "
        f"the seeds). The student is 784-{recipe.hidden}-10, trained on {recipe.images:,} images for {recipe.epochs} "
        f"epochs of Adam, T = {TEMPERATURE:g}, alpha = {recipe.alpha:g}. The teacher is 784-{recipe.teacher_hidden}-10 "
        f"with dropout, trained on {recipe.teacher_images:,}. Bug and right version start from the same weights and "
        "see the same batches. The right version's errors differ between pitfalls, because some need another setup: "
        "dropout, shifted images, two teachers, or labels for half of the images. For comparison, a student trained "
        f"on labels alone makes {mean:.0f} errors."
    )


def paragraphs(one: Examined, cost: Cost | None) -> str:
    """Return the full description of one pitfall."""
    pitfall, bend = one.pitfall, one.gradient
    turned = "none of it reaches the student" if bend.cosine is None else f"cosine {bend.cosine:.3f}"
    finders = [paragraph(f"{name}: {finding}", 2, 4) for name, finding in one.found.items() if finding]
    parts = [
        wrapped_text(f"{pitfall.name}: {pitfall.summary}"),
        wrapped_text(f"Why people write it. {pitfall.why}"),
        wrapped_text(f"What it does. {pitfall.harm}"),
        wrapped_text(f"Gradient compared with the right one: {bend.ratio:.3f} times as long, {turned}."),
        "\n".join(["Found by", *finders]),
        wrapped_text(f"Passed by {', '.join(name for name, finding in one.found.items() if not finding)}."),
        verdict(one),
    ]
    if cost:
        pairs = ", ".join(f"{a} → {b} (p = {p:.2g})" for a, b, p in zip(cost.right, cost.wrong, cost.p, strict=True))
        parts.append(
            wrapped_text(f"Errors of {cost.judged:,}: {cost_line(cost)}. By seed, with McNemar's exact test: {pairs}.")
        )
    parts.append("\n".join(["Seen at", *(f"  {seen.link}\n{paragraph(seen.fact, 4)}" for seen in pitfall.seen)]))
    return "\n\n".join(parts)


def verdict(one: Examined) -> str:
    """Say whether the named check finds the bug, and whether no other check reports one."""
    alarms = [f"{name} ({finding})" for name, finding in one.alarms.items() if finding]
    if alarms:
        return wrapped_text(f"WRONG: checks reject the right version: {', '.join(alarms)}.")
    name = one.pitfall.caught_by
    if not one.caught:
        return wrapped_text(f"WRONG: the check {name!r} does not find it.")
    return wrapped_text(f"The check to add is {name!r}: {CHECKS[name].holds}. All checks pass the right version.")


def wrapped_text(text: str) -> str:
    """Return text wrapped to fit a terminal."""
    return paragraph(text)


def numbers(found: Sequence[Examined], costs: Mapping[str, Cost]) -> list[dict[str, object]]:
    """Return everything as values for JSON."""
    return [
        {
            "name": one.pitfall.name,
            "group": one.pitfall.group,
            "summary": one.pitfall.summary,
            "gradient": {"length": one.gradient.ratio, "cosine": one.gradient.cosine},
            "caught_by": one.pitfall.caught_by,
            "caught": one.caught,
            "found_by": {name: finding for name, finding in one.found.items() if finding},
            "passed_by": [name for name, finding in one.found.items() if not finding],
            "errors": as_numbers(costs[one.pitfall.name]) if one.pitfall.name in costs else None,
            "seen": [{"link": seen.link, "fact": seen.fact} for seen in one.pitfall.seen],
        }
        for one in found
    ]


def as_numbers(cost: Cost) -> dict[str, object]:
    """Return a cost as values for JSON."""
    return {
        "judged": cost.judged,
        "right": list(cost.right),
        "wrong": list(cost.wrong),
        "mcnemar_p": list(cost.p),
        "mean": cost.mean,
        "margin_95": cost.margin,
    }
