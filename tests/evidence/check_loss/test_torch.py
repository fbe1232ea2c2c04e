"""Losses of PyTorch, in the forms in which public repositories write them."""

import pytest

from minikd.cli import main
from tests.evidence.check_loss.makers import TORCH, verdict_of, wrong_rows

pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")
pytestmark = [
    pytest.mark.numpy_only("these losses are PyTorch's"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]

RIGHT = {
    "batchmean": """
def kd_loss(student_logits, teacher_logits, labels, T=4.0, alpha=0.9):
    logq = F.log_softmax(student_logits / T, dim=1)
    soft = F.kl_div(logq, F.softmax(teacher_logits / T, dim=1), reduction="batchmean")
    return alpha * T * T * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
""",
    "log_target": """
def kd_loss(student_logits, teacher_logits, temperature=4.0):
    return temperature ** 2 * F.kl_div(
        F.log_softmax(student_logits / temperature, -1),
        F.log_softmax(teacher_logits / temperature, -1).detach(),
        reduction="batchmean",
        log_target=True,
    )
""",
    "a module with a forward pass": """
class kd_loss(nn.Module):
    def __init__(self, T=3.0):
        super().__init__()
        self.T = T
        self.kl = nn.KLDivLoss(reduction="batchmean")

    def forward(self, y_s, y_t):
        return self.kl(F.log_softmax(y_s / self.T, dim=1), F.softmax(y_t / self.T, dim=1)) * self.T ** 2
""",
    "sum divided by the batch, as in RepDistiller": """
def kd_loss(y_s, y_t, T=4.0):
    p_s, p_t = F.log_softmax(y_s / T, dim=1), F.softmax(y_t / T, dim=1)
    return F.kl_div(p_s, p_t, reduction="sum") * T ** 2 / y_s.shape[0]
""",
    "cross-entropy with probabilities as the target": """
def kd_loss(student_logits, teacher_logits, T=4.0):
    return F.cross_entropy(student_logits / T, F.softmax(teacher_logits / T, dim=1)) * T * T
""",
    "label smoothing of the library": """
def kd_loss(student_logits, teacher_logits, labels, T=4.0, alpha=0.9):
    soft = F.kl_div(F.log_softmax(student_logits / T, 1), F.softmax(teacher_logits / T, 1), reduction="batchmean")
    return alpha * T * T * soft + (1 - alpha) * F.cross_entropy(student_logits, labels, label_smoothing=0.1)
""",
    "mean squared error of the logits": """
def kd_loss(student_logits, teacher_logits):
    return F.mse_loss(student_logits, teacher_logits)
""",
    "compiled by torch.jit.script": """
@torch.jit.script
def kd_loss(student_logits, teacher_logits, T: float):
    logq = F.log_softmax(student_logits / T, 1)
    return F.kl_div(logq, F.softmax(teacher_logits / T, 1), reduction="batchmean") * T * T
""",
    "a gradient of its own": """
def kd_loss(student, teacher, T=3.0):
    z = student.detach().requires_grad_()
    loss = F.kl_div(F.log_softmax(z / T, 1), F.softmax(teacher / T, 1), reduction="batchmean") * T * T
    return loss, torch.autograd.grad(loss, z)[0]
""",
    "bfloat16 inside": """
def kd_loss(student, teacher, labels, T=2.0, alpha=0.5):
    student, teacher = student.bfloat16(), teacher.bfloat16()
    soft = F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean") * T * T
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels)
""",
    "float32 inside": """
def kd_loss(student, teacher, T=2.0):
    logq, p = F.log_softmax(student.float() / T, 1), F.softmax(teacher.float() / T, 1)
    return F.kl_div(logq, p, reduction="none").sum(1).mean() * T * T
""",
    "labels that it does not use": """
def kd_loss(student, teacher, labels, T=2.0):
    return F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean") * T * T
""",
    "a loop over the samples": """
def kd_loss(student, teacher, T=2.0):
    total = 0
    for z, v in zip(student, teacher):
        total = total + F.kl_div(F.log_softmax(z / T, 0), F.softmax(v / T, 0), reduction="sum")
    return total / len(student) * T * T
""",
    "PyTorch's distributions": """
from torch.distributions import Categorical, kl_divergence

def kd_loss(student, teacher, T=3.0):
    return kl_divergence(Categorical(logits=teacher / T), Categorical(logits=student / T)).mean() * T * T
""",
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_loss_is_not_accused(tmp_path, name):
    verdict = verdict_of(tmp_path, RIGHT[name], TORCH)
    assert wrong_rows(verdict) == {}
    assert verdict.ok


BATCHMEAN = RIGHT["batchmean"]
WRONG = {
    "mean instead of batchmean": (BATCHMEAN.replace('"batchmean"', '"mean"'), "class-mean"),
    "swapped arguments": (
        BATCHMEAN.replace("F.log_softmax(student", "F.log_softmax(X")
        .replace("F.softmax(teacher", "F.softmax(student")
        .replace("F.log_softmax(X", "F.log_softmax(teacher"),
        "swapped-arguments",
    ),
    "softmax for log_softmax": (BATCHMEAN.replace("F.log_softmax(", "F.softmax("), "probabilities-for-logs"),
    "log_softmax for softmax": (BATCHMEAN.replace("F.softmax(", "F.log_softmax("), "log-as-target"),
    "a softmax for log_target": (
        RIGHT["log_target"].replace("F.log_softmax(teacher_logits", "F.softmax(teacher_logits"),
        "probabilities-as-log-target",
    ),
    "no softmax of the student": (
        BATCHMEAN.replace("F.log_softmax(student_logits / T, dim=1)", "student_logits / T"),
        "logits-for-logs",
    ),
    "no softmax at all": (
        BATCHMEAN.replace("F.log_softmax(student_logits / T, dim=1)", "student_logits / T").replace(
            "F.softmax(teacher_logits / T, dim=1)", "teacher_logits / T"
        ),
        "not-finite",
    ),
    "dropout": (BATCHMEAN.replace("F.log_softmax(student_logits", "F.log_softmax(F.dropout(student_logits)"), "random"),
    "inputs changed in place": (
        BATCHMEAN.replace("F.log_softmax(student_logits / T", "F.log_softmax(student_logits.div_(T)"),
        "changes-inputs",
    ),
    "a GPU needed": (
        BATCHMEAN.replace("F.cross_entropy(student_logits", "F.cross_entropy(cuda(student_logits)")
        + "\ndef cuda(z):\n    raise RuntimeError('no CUDA device')\n",
        "device",
    ),
    "softmax of a softmax": (
        BATCHMEAN.replace("F.softmax(teacher_logits / T", "F.softmax(F.softmax(teacher_logits, 1) / T"),
        "double-softmax",
    ),
    "T² missing": (BATCHMEAN.replace("alpha * T * T *", "alpha *"), "no-t-squared"),
    "dim=0": (BATCHMEAN.replace("dim=1", "dim=0"), "wrong-axis"),
    "smoothed twice": (
        RIGHT["label smoothing of the library"].replace(
            "F.cross_entropy(student_logits, labels,",
            "F.cross_entropy(student_logits, 0.9 * F.one_hot(labels, student_logits.size(1)) + 0.1 / 5,",
        ),
        "smoothed-twice",
    ),
    "weights swapped": (
        BATCHMEAN.replace("alpha * T * T * soft + (1 - alpha) *", "(1 - alpha) * T * T * soft + alpha *"),
        "alpha-swapped",
    ),
    "log of a clipped probability": (
        BATCHMEAN.replace(
            "F.log_softmax(student_logits / T, dim=1)", "F.softmax(student_logits / T, 1).clamp(1e-7).log()"
        ),
        "clipped-log",
    ),
    "the student cut off": (
        BATCHMEAN.replace("student_logits", "student_logits.detach()").replace(
            "def kd_loss(student_logits.detach()", "def kd_loss(student_logits"
        ),
        "no-gradient",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bug_is_found_and_its_usual_cause_named(tmp_path, name):
    source, cause = WRONG[name]
    verdict = verdict_of(tmp_path, source, TORCH)
    assert not verdict.ok
    assert cause in wrong_rows(verdict).values()


NETWORKS = """
class Teacher(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))

def frozen():
    return Teacher().eval().requires_grad_(False)

def asleep():
    return Teacher().eval()

def partly():
    net = Teacher()
    net[0].requires_grad_(False)
    return net

compiled = torch.jit.script(Teacher().requires_grad_(False))
"""


def judged(tmp_path, *flags):
    (tmp_path / "my_loss.py").write_text(TORCH + BATCHMEAN)
    (tmp_path / "networks.py").write_text(TORCH + NETWORKS)
    named = [flag.replace("HERE", str(tmp_path)) for flag in flags]
    return main(["check-loss", f"{tmp_path}/my_loss.py:kd_loss", *named])


def test_a_teacher_that_is_frozen_and_a_student_that_learns_are_right(tmp_path, capsys):
    assert judged(tmp_path, "--teacher", "HERE/networks.py:frozen", "--student", "HERE/networks.py:Teacher") == 0
    assert "it reaches teacher_logits" in " ".join(capsys.readouterr().out.split())


def test_a_teacher_in_training_mode_that_carries_gradients_is_told(tmp_path, capsys):
    assert judged(tmp_path, "--teacher", "HERE/networks.py:Teacher") == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "teacher's mode: it is in training mode, and 1 answers otherwise there" in printed
    assert "4 parameters still take gradients" in printed
    assert "minikd pitfalls teacher-in-training" in printed


def test_a_student_that_is_left_in_evaluation_mode_is_told(tmp_path, capsys):
    assert judged(tmp_path, "--student", "HERE/networks.py:asleep") == 1
    assert "student's mode: it is in evaluation mode" in " ".join(capsys.readouterr().out.split())


def test_a_student_that_is_frozen_is_told_and_one_that_is_partly_frozen_gets_a_note(tmp_path, capsys):
    assert judged(tmp_path, "--student", "HERE/networks.py:frozen") == 1
    assert "`requires_grad_(False)` froze the student" in " ".join(capsys.readouterr().out.split())
    assert judged(tmp_path, "--student", "HERE/networks.py:partly") == 0
    assert "2 parameters take no gradients" in " ".join(capsys.readouterr().out.split())


def test_a_compiled_teacher_in_training_mode_is_told(tmp_path, capsys):
    assert judged(tmp_path, "--teacher", "HERE/networks.py:compiled") == 1
    assert "teacher's mode: it is in training mode" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_network_is_refused(tmp_path, capsys):
    assert judged(tmp_path, "--student", "HERE/networks.py:nn") == 2
    assert "must be a torch.nn.Module" in capsys.readouterr().err
