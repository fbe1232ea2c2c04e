"""Losses of NumPy: right ones are not accused, and each bug is named."""

import pytest

from minikd.evidence.check_loss.causes import CAUSES
from tests.evidence.check_loss.makers import verdict_of, wrong_rows

RIGHT = {
    "KL and cross-entropy": """
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    p, logp = softmax(teacher_logits / temperature), log_softmax(teacher_logits / temperature)
    soft = (p * (logp - log_softmax(student_logits / temperature))).sum(1).mean() * temperature ** 2
    return alpha * soft + (1 - alpha) * cross_entropy(student_logits, labels)
""",
    "soft cross-entropy alone, which has the gradient of KL": """
def kd_loss(student_logits, teacher_logits, temperature=4.0):
    p = softmax(teacher_logits / temperature)
    return -(p * log_softmax(student_logits / temperature)).sum() / len(p) * temperature ** 2
""",
    "with its gradient": """
def kd_loss(student_logits, teacher_logits, T):
    q, p = softmax(student_logits / T), softmax(teacher_logits / T)
    loss = (p * (log_softmax(teacher_logits / T) - log_softmax(student_logits / T))).sum() * T * T / len(q)
    return loss, T * (q - p) / len(q)
""",
    "the sum of both, the teacher's weighted": """
def kd_loss(outputs, labels, teacher_outputs, T=3.0, alpha=0.5):
    p = softmax(teacher_outputs / T)
    kd = -(p * log_softmax(outputs / T)).sum(1).mean() * T * T
    return cross_entropy(outputs, labels) + alpha * kd
""",
    "T inside": """
def kd_loss(student_logits, teacher_logits):
    p = softmax(teacher_logits / 2.5)
    return -(p * log_softmax(student_logits / 2.5)).sum(1).mean() * 2.5 ** 2
""",
    "T = 1": """
def kd_loss(student_logits, teacher_logits):
    return -(softmax(teacher_logits) * log_softmax(student_logits)).sum(1).mean()
""",
    "squared difference of the logits": """
def kd_loss(student_logits, teacher_logits):
    return ((student_logits - teacher_logits) ** 2).mean()
""",
    "squared difference of the probabilities": """
def kd_loss(student_logits, teacher_logits, temperature):
    return ((softmax(student_logits / temperature) - softmax(teacher_logits / temperature)) ** 2).sum(1).mean()
""",
    "Jensen-Shannon": """
def kd_loss(student_logits, teacher_logits, temperature):
    logp, logq = log_softmax(teacher_logits / temperature), log_softmax(student_logits / temperature)
    p, q = np.exp(logp), np.exp(logq)
    logm = np.log((p + q) / 2)
    return temperature ** 2 * ((p * (logp - logm) + q * (logq - logm)) / 2).sum(1).mean()
""",
    "labels smoothed once": """
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    K = student_logits.shape[1]
    target = 0.9 * np.eye(K)[labels] + 0.1 / K
    hard = -(target * log_softmax(student_logits)).sum(1).mean()
    soft = -(softmax(teacher_logits / temperature) * log_softmax(student_logits / temperature)).sum(1).mean()
    return alpha * temperature ** 2 * soft + (1 - alpha) * hard
""",
    "unlabelled batches, with a branch": """
def kd_loss(student_logits, teacher_logits, labels=None, temperature=4.0, alpha=0.9):
    soft = -(softmax(teacher_logits / temperature) * log_softmax(student_logits / temperature)).sum(1).mean()
    soft = soft * temperature ** 2
    if labels is None:
        return soft
    return alpha * soft + (1 - alpha) * cross_entropy(student_logits, labels)
""",
    "not known: a power of the ratio, which no formula here has": """
def kd_loss(student_logits, teacher_logits):
    p, q = softmax(teacher_logits), softmax(student_logits)
    return 4 * (1 - np.sqrt(p * q).sum(1)).mean()
""",
    "DKD's two terms": """
def others_of(z, one):
    return z[~one].reshape(len(z), -1)

def kd_loss(student_logits, teacher_logits, labels, temperature):
    one = np.eye(student_logits.shape[1])[labels].astype(bool)
    both = [log_softmax(z / temperature) for z in (teacher_logits, student_logits)]
    target = [logs[one] for logs in both]
    rest = [np.logaddexp.reduce(others_of(logs, one), axis=1) for logs in both]
    binary = sum(np.exp(p) * (p - q) for p, q in (target, rest))
    logp, logq = (log_softmax(others_of(z / temperature, one)) for z in (teacher_logits, student_logits))
    return temperature ** 2 * (binary + 8 * (np.exp(logp) * (logp - logq)).sum(1)).mean()
""",
    "a loop over samples and classes": """
def kd_loss(student, teacher, T=4.0):
    total = 0.0
    for zs, zt in zip(student, teacher):
        p, logq = softmax(zt[None] / T)[0], log_softmax(zs[None] / T)[0]
        for k in range(len(p)):
            total += p[k] * (np.log(p[k]) - logq[k])
    return total * T * T / len(student)
""",
    "einsum, settings by keyword": """
def kd_loss(s, t, labels, *, tau=2.0, lam=0.5):
    p = softmax(t / tau)
    kl = np.einsum("nk,nk->", p, np.log(p) - log_softmax(s / tau)) / s.shape[0]
    ce = -np.einsum("nk,nk->", np.eye(s.shape[1])[labels], log_softmax(s)) / s.shape[0]
    return lam * tau**2 * kl + (1 - lam) * ce
""",
    "all by keyword, the teacher first": """
def kd_loss(*, teacher_logits, student_logits, y, temperature, alpha):
    p = softmax(teacher_logits / temperature)
    kl = -(p * log_softmax(student_logits / temperature)).sum(-1).mean()
    return alpha * temperature ** 2 * kl + (1 - alpha) * cross_entropy(student_logits, y)
""",
    "parameters without keywords": """
def kd_loss(s, t, /, T=2.0):
    return -(softmax(t / T) * log_softmax(s / T)).sum(1).mean() * T * T
""",
    "y is the student's output, as in attention-transfer": """
def kd_loss(y, teacher_scores, labels, T, alpha):
    kl = -(softmax(teacher_scores / T) * log_softmax(y / T)).sum(1).mean() * T * T
    return alpha * kl + (1 - alpha) * cross_entropy(y, labels)
""",
    "the teacher first, in short names": """
def kd_loss(out_t, out_s, T=2.0):
    return -(softmax(out_t / T) * log_softmax(out_s / T)).sum(1).mean() * T * T
""",
    "a setting with a default that is not the check's": """
def kd_loss(stu_out, tea_out, target, T=2.0, alpha=0.5, mean=np.mean):
    kl = mean(-(softmax(tea_out / T) * log_softmax(stu_out / T)).sum(1)) * T * T
    return alpha * kl + (1 - alpha) * cross_entropy(stu_out, target)
""",
    "labels that it does not use": """
def kd_loss(student, teacher, labels, T=2.0, alpha=1.0):
    return -(softmax(teacher / T) * log_softmax(student / T)).sum(1).mean() * T * T
""",
    "one-hot labels": """
def kd_loss(student, teacher, labels, T=2.0, alpha=0.5):
    kl = -(softmax(teacher / T) * log_softmax(student / T)).sum(1).mean() * T * T
    return alpha * kl - (1 - alpha) * (labels * log_softmax(student)).sum(1).mean()
""",
    "10 classes alone": """
def kd_loss(student, teacher, labels, T=2.0, alpha=0.5):
    kl = -(softmax(teacher / T) * log_softmax(student / T)).sum(1).mean() * T * T
    return alpha * kl - (1 - alpha) * (np.eye(10)[labels] * log_softmax(student)).sum(1).mean()
""",
    "float32 inside": """
def kd_loss(student, teacher, labels, T=2.0, alpha=0.5):
    student, teacher = student.astype(np.float32), teacher.astype(np.float32)
    kl = -(softmax(teacher / T) * log_softmax(student / T)).sum(1).mean() * T * T
    return alpha * kl + (1 - alpha) * cross_entropy(student, labels)
""",
    "float32 inside, not known": """
def kd_loss(student, teacher):
    p, q = (softmax(z.astype(np.float32)) for z in (teacher, student))
    return 4 * (1 - np.sqrt(p * q).sum(1)).mean()
""",
    "a value of float32": """
def kd_loss(student, teacher):
    return np.float32(-(softmax(teacher) * log_softmax(student)).sum(1).mean())
""",
    "the teacher's class as the label": """
def kd_loss(student_logits, teacher_logits, labels):
    hard = teacher_logits.argmax(1)
    return (cross_entropy(student_logits, labels) + cross_entropy(student_logits, hard)) / 2
""",
    "T² as a part of alpha": """
def kd_loss(student, teacher, labels, T=4.0, alpha=0.1):
    weight = alpha * T * T
    kl = -(softmax(teacher / T) * log_softmax(student / T)).sum(1).mean()
    return weight * kl + (1 - alpha) * cross_entropy(student, labels)
""",
    "prints": """
def kd_loss(student, teacher):
    print("loss of", len(student))
    return -(softmax(teacher) * log_softmax(student)).sum(1).mean()
""",
    "decorated": """
import functools

def logged(function):
    @functools.wraps(function)
    def call(*given, **named):
        return function(*given, **named)
    return call

@logged
def kd_loss(student, teacher, T=4.0):
    return -(softmax(teacher / T) * log_softmax(student / T)).sum(1).mean() * T * T
""",
    "a partial function": """
import functools

def general(student, teacher, temp):
    return -(softmax(teacher / temp) * log_softmax(student / temp)).sum(1).mean() * temp ** 2

kd_loss = functools.partial(general, temp=3.0)
""",
    "absolute difference of the logits": """
def kd_loss(student, teacher):
    return np.abs(student - teacher).mean()
""",
    "sigmoids, for classes that do not exclude each other": """
def kd_loss(student, teacher, T=2.0):
    p = 1 / (1 + np.exp(-teacher / T))
    return T * T * (np.logaddexp(0, student / T) - p * student / T).sum(1).mean()
""",
    "a loss that says that it compares the samples": """
def apart(z):
    z = z - z.mean(1, keepdims=True)
    return z / np.linalg.norm(z, axis=1, keepdims=True)

def kd_loss(student, teacher):
    q, p = softmax(student), softmax(teacher)
    return (1 - (apart(q) * apart(p)).sum(1)).mean() + (1 - (apart(q.T) * apart(p.T)).sum(1)).mean()

kd_loss.across_batch = True
""",
    "a callable object": """
class Loss:
    def __init__(self, temperature=4.0):
        self.T = temperature

    def __call__(self, student, teacher):
        return -(softmax(teacher / self.T) * log_softmax(student / self.T)).sum(1).mean() * self.T ** 2

kd_loss = Loss(2.0)
""",
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_loss_is_not_accused(tmp_path, name):
    verdict = verdict_of(tmp_path, RIGHT[name])
    assert wrong_rows(verdict) == {}
    assert verdict.ok


def with_soft(line, head=""):
    """A loss of labels and teacher whose teacher's term is this line."""
    return f"""
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    T, N, K = temperature, *student_logits.shape
    p, q = softmax(teacher_logits / T), softmax(student_logits / T)
    logp, logq = log_softmax(teacher_logits / T), log_softmax(student_logits / T)
    {head}
    soft = {line}
    return alpha * soft + (1 - alpha) * cross_entropy(student_logits, labels)
"""


WRONG = {
    "mean over batch and classes": (with_soft("(p * (logp - logq)).mean() * T * T"), "class-mean"),
    "sum over the batch": (with_soft("(p * (logp - logq)).sum() * T * T"), "sum"),
    "the sum times the classes": (with_soft("(p * (logp - logq)).sum(1).mean() * K * T * T"), "times-classes"),
    "mean twice": (with_soft("(p * (logp - logq)).sum(1).mean() / N * T * T"), "mean-twice"),
    "no T²": (with_soft("(p * (logp - logq)).sum(1).mean()"), "no-t-squared"),
    "T once": (with_soft("(p * (logp - logq)).sum(1).mean() * T"), "one-t"),
    "T to the fourth": (with_soft("(p * (logp - logq)).sum(1).mean() * T ** 4"), "too-many-t"),
    "swapped arguments": (with_soft("(q * (logq - logp)).sum(1).mean() * T * T"), "swapped-arguments"),
    "probabilities for logs": (with_soft("(p * (logp - q)).sum(1).mean() * T * T"), "probabilities-for-logs"),
    "the teacher's softmax twice": (
        with_soft("-(pp * logq).sum(1).mean() * T * T", "pp = softmax(softmax(teacher_logits) / T)"),
        "double-softmax",
    ),
    "the student's softmax twice": (
        with_soft("-(p * lq).sum(1).mean() * T * T", "lq = log_softmax(softmax(student_logits) / T)"),
        "double-softmax",
    ),
    "the teacher over the batch": (
        with_soft("-(pp * logq).sum(1).mean() * T * T", "pp = softmax(teacher_logits / T, axis=0)"),
        "wrong-axis",
    ),
    "the teacher not softened": (
        with_soft("-(pp * logq).sum(1).mean() * T * T", "pp = softmax(teacher_logits)"),
        "one-temperature",
    ),
    "log of a clipped probability": (
        with_soft("(p * (logp - np.log(np.clip(q, 1e-7, 1)))).sum(1).mean() * T * T"),
        "clipped-log",
    ),
    "alpha for the labels": (
        RIGHT["KL and cross-entropy"].replace("alpha * soft + (1 - alpha) *", "(1 - alpha) * soft + alpha *"),
        "alpha-swapped",
    ),
    "T² over the whole sum": (
        RIGHT["labels smoothed once"].replace(
            "alpha * temperature ** 2 * soft + (1 - alpha) * hard",
            "temperature ** 2 * (alpha * soft + (1 - alpha) * hard)",
        ),
        "labels-t-squared",
    ),
    "labels smoothed twice": (
        RIGHT["labels smoothed once"].replace("+ 0.1 / K", "+ 0.1 / K\n    target = 0.9 * target + 0.1 / K"),
        "smoothed-twice",
    ),
    "the labels beside the softened student": (
        RIGHT["KL and cross-entropy"].replace(
            "cross_entropy(student_logits,", "cross_entropy(student_logits / temperature,"
        ),
        "softened-labels",
    ),
    "cross-entropy of a softmax": (
        RIGHT["KL and cross-entropy"].replace(
            "cross_entropy(student_logits,", "cross_entropy(softmax(student_logits),"
        ),
        "labels-double-softmax",
    ),
    "T² on one branch": (
        RIGHT["unlabelled batches, with a branch"].replace("return soft\n", "return soft / temperature ** 2\n"),
        "one-branch",
    ),
    "a gradient of another T": (
        RIGHT["with its gradient"].replace("T * (q - p)", "(q - p)"),
        "gradient",
    ),
    "the gradient's sign": (RIGHT["with its gradient"].replace("T * (q - p)", "T * (p - q)"), "gradient-sign"),
    "a gradient of the sum": (RIGHT["with its gradient"].replace("(q - p) / len(q)", "(q - p)"), "gradient-sum"),
    "the wrong sign": (with_soft("(p * logq).sum(1).mean() * T * T"), "sign"),
    "logarithms of base 2": (with_soft("(p * (logp - logq) / np.log(2)).sum(1).mean() * T * T"), "log2"),
    "the cross-entropy's arguments swapped": (with_soft("-(q * logp).sum(1).mean() * T * T"), "swapped-arguments"),
    "logits for logs": (with_soft("-(p * student_logits / T).sum(1).mean() * T * T"), "logits-for-logs"),
    "the logits times T": (
        RIGHT["soft cross-entropy alone, which has the gradient of KL"].replace("_logits / temp", "_logits * temp"),
        "times-temperature",
    ),
    "the logarithm of a logit": (with_soft("-(p * np.log(student_logits)).sum(1).mean()"), "not-finite"),
    "the mean of 10 classes alone": (RIGHT["10 classes alone"].replace("* T * T", "* T * T / 10"), "class-mean"),
    "no T² in float32": (RIGHT["float32 inside"].replace(" * T * T", ""), "no-t-squared"),
    "no student": (
        """
def kd_loss(student_logits, teacher_logits):
    return -(softmax(teacher_logits) * log_softmax(teacher_logits)).sum(1).mean()
""",
        "constant",
    ),
    "the labels' mean over batch and classes": (
        RIGHT["KL and cross-entropy"].replace(
            "cross_entropy(student_logits, labels)",
            "-(np.eye(student_logits.shape[1])[labels] * log_softmax(student_logits)).mean()",
        ),
        "labels-class-mean",
    ),
    "noise": (
        with_soft("-(p * logq).sum(1).mean() * T * T", "logq = logq + 0.1 * np.random.randn(N, K)"),
        "random",
    ),
    "inputs changed in place": (
        """
def kd_loss(student_logits, teacher_logits, T):
    student_logits /= T
    return -(softmax(teacher_logits / T) * log_softmax(student_logits)).sum(1).mean() * T * T
""",
        "changes-inputs",
    ),
    "one value a sample": (
        RIGHT["soft cross-entropy alone, which has the gradient of KL"].replace(".sum() / len(p)", ".sum(1)"),
        "per-sample",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bug_is_found_and_its_usual_cause_named(tmp_path, name):
    source, cause = WRONG[name]
    verdict = verdict_of(tmp_path, source)
    assert not verdict.ok
    assert cause in wrong_rows(verdict).values()


def test_reverse_kl_on_purpose_is_right(tmp_path):
    source, _ = WRONG["swapped arguments"]
    assert verdict_of(tmp_path, source, reverse_kl=True).ok


def test_alpha_on_purpose_of_the_labels_is_right_and_the_usual_one_is_not(tmp_path):
    source, _ = WRONG["alpha for the labels"]
    assert verdict_of(tmp_path, source, alpha_of_labels=True).ok
    found = verdict_of(tmp_path, RIGHT["KL and cross-entropy"], alpha_of_labels=True)
    assert wrong_rows(found) == {"alpha": "alpha-swapped"}


def test_logits_that_overflow_are_worth_a_note_and_no_more(tmp_path):
    source = """
def kd_loss(student_logits, teacher_logits):
    q, p = np.exp(student_logits), np.exp(teacher_logits)
    q, p = q / q.sum(1, keepdims=True), p / p.sum(1, keepdims=True)
    return -(p * np.log(q)).sum(1).mean()
"""
    verdict = verdict_of(tmp_path, source)
    assert verdict.ok
    found = next(row.found for row in verdict.rows if row.check == "large logits")
    assert found.startswith("in float32 the loss is nan")


@pytest.mark.parametrize("name", ["the gradient's sign", "a gradient of the sum", "T² on one branch", "the wrong sign"])
def test_one_bug_is_one_finding(tmp_path, name):
    source, cause = WRONG[name]
    assert list(wrong_rows(verdict_of(tmp_path, source)).values()) == [cause]


def test_labels_alone_are_told(tmp_path):
    source = """
def kd_loss(student_logits, teacher_logits, labels):
    return cross_entropy(student_logits, labels)
"""
    verdict = verdict_of(tmp_path, source)
    assert wrong_rows(verdict) == {"formula": ""}
    assert "which does not depend on the teacher" in next(row.found for row in verdict.rows if row.check == "formula")


def test_alpha_on_both_terms_is_worth_a_note(tmp_path):
    source = RIGHT["KL and cross-entropy"].replace("alpha * soft + (1 - alpha) *", "alpha * soft + alpha *")
    verdict = verdict_of(tmp_path, source)
    assert verdict.ok
    assert "multiplies both terms" in next(row.found for row in verdict.rows if row.check == "alpha")


def test_a_loss_that_compares_the_samples_and_does_not_say_so_is_told_how(tmp_path):
    source = RIGHT["a loss that says that it compares the samples"].replace("kd_loss.across_batch = True", "")
    verdict = verdict_of(tmp_path, source)
    assert wrong_rows(verdict) == {"each sample alone": "wrong-axis"}
    assert "`across_batch = True`" in CAUSES["wrong-axis"].mend
