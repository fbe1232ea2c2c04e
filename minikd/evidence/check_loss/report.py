"""The verdict as text: a table with a line for each check, then each finding with its usual cause, fix and cost."""

from minikd.console.layout import paragraph
from minikd.evidence.check_loss.causes import CAUSES, cost_of, written_at
from minikd.evidence.check_loss.judge import NOTE, WRONG, LossCheck, Verdict


def text(verdict: Verdict) -> str:
    """Return the whole report."""
    subject = verdict.subject
    framework = "PyTorch" if subject.uses_torch else "NumPy"
    meant = {role: "one-hot labels" if role == "labels" and subject.one_hot else role for role in subject.arguments}
    taken = ", ".join(
        name if name == meant[role] else f"{name} as the {meant[role]}" for role, name in subject.arguments.items()
    )
    parts = [
        paragraph(f"{subject.name}: a loss of {framework}, treated as a function of {taken}."),
        table(verdict.rows),
        *(finding(verdict, row) for row in verdict.rows if row.status == WRONG),
    ]
    wrong = sum(row.status == WRONG for row in verdict.rows)
    parts.append(f"{wrong} wrong." if wrong else "Nothing wrong was found.")
    return "\n\n".join(parts)


def table(rows: tuple[LossCheck, ...]) -> str:
    """Return a line for each check. A long finding continues below."""
    wide = max(len(row.check) for row in rows)
    lines = []
    for row in rows:
        head = f"{row.check:{wide}}  {row.status:5}  "
        said = row.found if row.status in (NOTE, WRONG) or row.check == "formula" else ""
        lines.append(paragraph(head + said, hanging=len(head)).rstrip())
    return "\n".join(lines)


def finding(verdict: Verdict, row: LossCheck) -> str:
    """Return the usual cause of a finding, its line in the source, its fix, and what it cost in trainings."""
    lines = [paragraph(f"{row.check}: {row.found.rstrip('.')}.")]
    if row.cause:
        cause = CAUSES[row.cause]
        lines.append(paragraph(f"Usual cause: {cause.usual}.", 2))
        if line := written_at(verdict.subject, cause):
            lines.append(f"  Look at {line}")
        lines.append(paragraph(f"Fix: {cause.mend}.", 2))
        if cost := cost_of(cause.pitfall):
            lines.append(paragraph(cost, 2))
    return "\n".join(lines)
