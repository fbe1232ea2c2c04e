"""DIST: the student's probabilities correlate with the teacher's, along each row and along each column.

    L = β·(1/N) Σ_n (1 - ρ(q_n·, p_n·)) + γ·(1/K) Σ_k (1 - ρ(q_·k, p_·k))

p = softmax(v/T) is the teacher, q = softmax(z/T) the student, both (N, K); ρ is Pearson's correlation. A row says how
the classes relate for one sample, a column which samples of the batch are more of one class than others (Huang et al.
2022: the inter-class and the intra-class relation). A strong teacher's probabilities may be out of the student's reach;
their relations need not be: a constant and a positive factor on a row or column of q cost nothing.

The gradient. With u = c/‖c‖ of the row q_n, centred, and w likewise of p_n, ρ = Σ_k u_k w_k, so du = -β w/N, and back
through the scaling (`correlation`)

    dq_n = -(β/N)·(w - ρ u)/‖c‖

and the same of the columns, with γ/K. The sum goes through softmax's backward pass, dz = (1/T)·q (dq - Σ_k q_k dq_k).

No T²: correlation has no scale, so the loss and its gradient keep their size as T grows. (The authors' code multiplies
by T²; at the default, T = 1, it is the same.)

A flat row is turned by a small push: the gradient grows as one over the spread of the student's logits. A row or column
that does not vary at all correlates with nothing: ρ counts as 0, its term as 1, without gradient. Of two values ρ is ±1
whatever they are, so the rows of two classes, and the columns of a batch of two, teach nothing but a sign; the columns
want a batch of many.
"""

from minikd.errors import ShapeError
from minikd.losses.correlation import standard_rows, standard_rows_backward
from minikd.losses.softmax import check_networks, check_share, softmax, softmax_backward
from minikd.typing import Floats, Scalar


def dist(
    student_logits: Floats, teacher_logits: Floats, temperature: float = 1.0, beta: float = 1.0, gamma: float = 1.0
) -> tuple[Scalar, Floats]:
    """Return β·(1 - mean row correlation) + γ·(1 - mean column correlation), and its gradient.

    The gradient is with respect to the student's logits. Both logits are (N, K), of one dtype, N and K at least 2.
    `beta` weighs the relations between classes (rows), `gamma` those between samples (columns), for which the whole
    batch must be at hand; each at least 0. The loss lies in 0 to 2(β + γ). A column that is nowhere above 1e-12, or
    that varies by no more than rounding (in float32 about a part in a million), counts as one that does not vary; so
    does a class that is excluded in every row by a logit of -∞. Raises ShapeError, DtypeError and ConfigError.
    """
    check_networks(student_logits, teacher_logits)
    b, c, (N, K) = check_share(beta, "beta"), check_share(gamma, "gamma"), student_logits.shape
    if N < 2 or K < 2:
        raise ShapeError(
            f"student_logits has shape {student_logits.shape}, but dist needs two samples and two classes or more: one "
            "value alone correlates with nothing; choose a batch size that leaves no last batch of one"
        )
    q, p = softmax(student_logits, temperature), softmax(teacher_logits, temperature)
    (rows, row_lengths), (row_goals, _) = standard_rows(q), standard_rows(p)
    (columns, column_lengths), (column_goals, _) = standard_rows(q.T), standard_rows(p.T)
    loss: Scalar = b * (1.0 - (rows * row_goals).sum() / N) + c * (1.0 - (columns * column_goals).sum() / K)
    drows = standard_rows_backward(row_goals * (-b / N), rows, row_lengths)
    dcolumns = standard_rows_backward(column_goals * (-c / K), columns, column_lengths)
    return loss, softmax_backward(drows + dcolumns.T, q, temperature)
