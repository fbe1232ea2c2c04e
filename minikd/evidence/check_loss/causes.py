"""The usual cause of each finding: the mistake, its fix, and how to recognise it in the source."""

import json
import re
from dataclasses import dataclass
from importlib.resources import files

from minikd.evidence.check_loss.subject import ExaminedLoss


@dataclass(frozen=True)
class Cause:
    """A mistake. pitfall: its name in `minikd pitfalls`, if it is there. line: a pattern for its source."""

    usual: str
    mend: str
    pitfall: str = ""
    line: str = ""


CAUSES = {
    "class-mean": Cause(
        "`reduction='mean'` (or a mean over all elements) divides by the classes as well as by the batch",
        "use `reduction='batchmean'`: the sum over the classes, then the mean over the batch",
        "class-mean",
        r"reduction\s*=\s*['\"]mean['\"]|\.mean\(\s*\)|kl_div\((?!.*reduction)|KLDivLoss\(\s*\)",
    ),
    "times-classes": Cause(
        "the sum over the classes is multiplied by the number of classes",
        "leave that factor out: it belongs only to a mean over all elements",
        line=r"shape\[-?1\]|size\(-?1\)|\*\s*K\b",
    ),
    "labels-class-mean": Cause(
        "the mean of one-hot rows times log-probabilities divides by the classes as well as by the batch",
        "take the sum over the classes, then the mean over the batch",
        line=r"\.mean\(\s*\)|reduction\s*=\s*['\"]mean['\"]",
    ),
    "sum": Cause(
        "the loss is a sum over the batch, so the loss and every step grow with the batch",
        "divide by the number of samples: `reduction='batchmean'`",
        line=r"reduction\s*=\s*['\"]sum['\"]|\.sum\(\s*\)",
    ),
    "mean-twice": Cause(
        "the loss is divided by the batch twice: `reduction='batchmean'` and again by hand",
        "divide once",
        line=r"batchmean|/\s*(len\(|N\b|.*shape\[0\]|.*size\(0\))",
    ),
    "no-t-squared": Cause(
        "the teacher's term is not multiplied by T²: its gradient falls as 1/T²",
        "multiply the teacher's term by `temperature ** 2` (Hinton et al. 2015, section 2)",
        "no-t-squared",
        r"kl_div|KLDivLoss|log_softmax",
    ),
    "one-t": Cause(
        "the teacher's term is multiplied by T, but softening both networks divides its gradient by T²",
        "multiply by `temperature ** 2`",
        "no-t-squared",
        r"\*\s*(T|temperature|temp|tau)\b(?!\s*\*\*)",
    ),
    "too-many-t": Cause(
        "the teacher's term is multiplied by a higher power of T than T²",
        "multiply by `temperature ** 2`, once",
        line=r"\*\*",
    ),
    "labels-t-squared": Cause(
        "the labels' term depends on T too: T² multiplies the whole sum, or the labels' logits are softened",
        "multiply only the teacher's term by T², and compare the labels with the logits at T = 1",
        line=r"cross_entropy|CrossEntropyLoss",
    ),
    "one-branch": Cause(
        "the branch without labels returns the teacher's term with another factor",
        "compute the teacher's term once, and use it in both branches",
        "t-squared-one-branch",
        r"if .*(None|labels|target)",
    ),
    "gradient": Cause(
        "the returned gradient is not that of the returned value: it is often copied from the loss at temperature 1",
        "differentiate the line that returns the value: for T²·KL it is T·(q - p)/N",
        "gradient-apart",
        r"return",
    ),
    "gradient-sign": Cause(
        "the returned gradient has the wrong sign",
        "for T²·KL it is T·(q - p)/N: the student's probabilities minus the teacher's",
        line=r"return",
    ),
    "gradient-sum": Cause(
        "the value is a mean over the batch, but the returned gradient is that of the sum",
        "divide the gradient by the number of samples as well",
        line=r"return",
    ),
    "sign": Cause(
        "a minus sign is missing or is there twice: training would move the student away from its teacher",
        "the cross-entropy is -Σ p log q; KL is Σ p (log p - log q), without a minus sign",
        line=r"return",
    ),
    "log2": Cause(
        "the logarithm has base 2, and every term is 1/ln 2 = 1.44 times too large",
        "use the natural logarithm, `log`",
        line=r"log2|log\(2",
    ),
    "constant": Cause(
        "the student's logits are not used, or something else has replaced them",
        "compute the loss from the student's logits",
        line=r"return",
    ),
    "random": Cause(
        "the loss uses random numbers (noise, dropout), so it cannot be checked",
        "switch them off for the check, or pass the noise as an argument with a default",
        line=r"rand|noise|dropout|normal\(",
    ),
    "changes-inputs": Cause(
        "an operation in place (`/=`, `div_`): later code with the same logits computes something else",
        "write `z = z / T` instead of `z /= T`",
        line=r"[-+*/]=|_\(",
    ),
    "device": Cause(
        "the loss needs a GPU, but the check runs on the CPU",
        "create new tensors on the device of the logits: `.to(student_logits.device)`",
        line=r"cuda",
    ),
    "not-finite": Cause(
        "the logarithm of a negative number or of 0: it got logits or log-probabilities instead of probabilities",
        "use `kl_div(log_softmax(student / T), softmax(teacher / T))`",
        line=r"kl_div|KLDivLoss|log\(",
    ),
    "logits-for-logs": Cause(
        "`kl_div` wants log-probabilities as its first argument, but got logits",
        "use `log_softmax(student_logits / T)` as the first argument",
        line=r"kl_div|KLDivLoss",
    ),
    "probabilities-as-log-target": Cause(
        "`log_target=True` says that the second argument is a logarithm, but it is a probability",
        "use `log_softmax(teacher_logits / T)` as the second argument, or leave out `log_target=True`",
        line=r"log_target",
    ),
    "times-temperature": Cause(
        "the logits are multiplied by T instead of divided, or the factor is a higher power of T than T²",
        "divide the logits by `temperature`, and multiply the teacher's term by `temperature ** 2`",
        line=r"\*\s*(T|temperature|temp|tau)\b",
    ),
    "probabilities-for-logs": Cause(
        "`kl_div` wants log-probabilities as its first argument, but got probabilities",
        "use `log_softmax(student_logits / T)` as the first argument",
        "probabilities-for-logs",
        r"kl_div|KLDivLoss|softmax",
    ),
    "log-as-target": Cause(
        "the teacher's log-probabilities are used as probabilities: `kl_div` wants probabilities second",
        "use `softmax(teacher_logits / T)` as the second argument, or set `log_target=True`",
        line=r"log_softmax",
    ),
    "swapped-arguments": Cause(
        "it is KL(student ‖ teacher): the arguments of the divergence are swapped",
        "write `kl_div(log_softmax(student / T), softmax(teacher / T))`, the student first; if you want reverse KL, "
        "use --loss reverse_kl",
        line=r"kl_div|KLDivLoss",
    ),
    "double-softmax": Cause(
        "softmax is applied to probabilities: a network already ends in softmax, or two functions apply it",
        "apply one softmax, to the logits",
        "double-softmax",
        r"softmax",
    ),
    "labels-double-softmax": Cause(
        "cross-entropy applies softmax itself, but got probabilities",
        "give it the logits",
        "double-softmax",
        r"cross_entropy|CrossEntropyLoss|softmax",
    ),
    "softened-labels": Cause(
        "the labels are compared with the softened student: their term should be at T = 1",
        "give the unsoftened logits to the labels' cross-entropy",
        line=r"cross_entropy|CrossEntropyLoss|nll_loss",
    ),
    "wrong-axis": Cause(
        "softmax is over the samples (`dim=0`, or no axis at all) instead of over the classes",
        "use `dim=-1`, in NumPy `axis=-1, keepdims=True`; if a loss compares the samples on purpose, set its "
        "`across_batch = True`",
        "wrong-axis",
        r"(dim|axis)\s*=\s*0|softmax\([^=]*,\s*0\s*\)|\.sum\(\s*\)|\.max\(\s*\)",
    ),
    "one-temperature": Cause(
        "only one of the two networks is divided by T",
        "divide both by the same temperature",
        line=r"softmax",
    ),
    "alpha-swapped": Cause(
        "alpha is the labels' weight, and 1 - alpha the teacher's: with alpha = 0.9 the teacher hardly counts",
        "swap the two weights; if alpha is meant as the labels' weight, use --alpha-is labels",
        line=r"1\s*-\s*alpha|1\.0?\s*-\s*alpha|alpha",
    ),
    "smoothed-twice": Cause(
        "the labels are smoothed twice: by hand, and once more by `label_smoothing`",
        "smooth them in one place",
        line=r"smooth",
    ),
    "clipped-log": Cause(
        "the logarithm of a probability that has underflowed or was clipped: its gradient is 0, NaN or infinite there",
        "use `log_softmax(logits / T)`, which needs no clipping",
        line=r"log\(|clip|clamp|eps",
    ),
    "half": Cause(
        "float16 cannot hold some values on the way: exp of large logits, probabilities below 6e-8, T² times a sum",
        "compute the loss in float32: `student_logits.float()`",
        line=r"softmax|exp\(",
    ),
    "no-gradient": Cause(
        "`.detach()`, `.item()`, `.data`, NumPy or `no_grad` disconnects the loss from the student's logits",
        "keep the student's logits in the graph; detach only the teacher's",
        line=r"detach|item\(\)|\.data\b|numpy\(|no_grad",
    ),
    "teacher-training": Cause(
        "a network is in training mode until `eval()` is called, and loading weights does not call it",
        "call `teacher.eval()` once, and again after every `train()` of a module that holds it",
        "teacher-in-training",
    ),
    "teacher-trained": Cause(
        "the teacher's parameters require gradients, so an optimiser that has them would train the teacher",
        "call `teacher.requires_grad_(False)`, and call it under `torch.no_grad()`",
    ),
    "student-evaluation": Cause(
        "`eval()` is called for each evaluation, but `train()` only once, above the loop over the epochs",
        "call `student.train()` at the start of each epoch",
        "student-in-evaluation",
    ),
    "student-frozen": Cause(
        "`requires_grad_(False)` froze the student, not the teacher, or both are the same network",
        "freeze only the teacher",
    ),
    "per-sample": Cause("the loss is not reduced", "take the sum over the classes and the mean over the batch"),
}


def written_at(subject: ExaminedLoss, cause: Cause) -> str:
    """Return the first line of the user's source that looks like the cause, with its number; "" if there is none."""
    for number, line in enumerate(subject.source, subject.first_line):
        code = line.split("#")[0].strip()
        if cause.line and code and not code.startswith(("def ", '"""')) and re.search(cause.line, code):
            return f"line {number}: {code}"
    return ""


def cost_of(pitfall: str) -> str:
    """Return what a bug cost in the trainings of `minikd pitfalls --train`, as text; "" if it was not trained."""
    costs = json.loads(files("minikd").joinpath("evidence", "pitfalls", "costs.json").read_text(encoding="utf-8"))
    if pitfall not in costs:
        return ""
    found = costs[pitfall]
    right, wrong = (sum(found[name]) / len(found[name]) for name in ("right", "wrong"))
    return (
        f"In minikd's trainings it cost {wrong - right:+.0f} ± {found['margin_95']:.0f} errors of {found['judged']:,} "
        f"({right:.0f} → {wrong:.0f}, {len(found['right'])} seeds): minikd pitfalls {pitfall}"
    )
