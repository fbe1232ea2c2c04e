"""DIST: the student's probabilities correlate with the teacher's, along each row and along each column.

    L = β·(1/N) Σ_n (1 - ρ(q_n·, p_n·)) + γ·(1/K) Σ_k (1 - ρ(q_·k, p_·k))

p = softmax(v/T) is the teacher, q = softmax(z/T) the student, both (N, K); ρ is Pearson's correlation. A row
shows how the classes relate for one sample (Huang et al. 2022: the inter-class relation). A column shows which samples
of the batch belong more to one class than others (the intra-class relation). A small student may not reach a strong
teacher's probabilities, but it may reach their relations: adding a constant to a row or column of q, or multiplying it
by a positive factor, costs nothing.

The gradient. Let u = c/‖c‖, with c the centred row q_n, and w the same for p_n. Then ρ = Σ_k u_k w_k, so du = -β w/N.
The backward pass of the scaling (`correlation`) gives

    dq_n = -(β/N)·(w - ρ u)/‖c‖

The columns give the same with γ/K. Softmax's backward pass takes the sum to the logits:

    dz = (1/T)·q (dq - Σ_k q_k dq_k)

There is no factor T²: a correlation has no scale, so the loss and its gradient keep their size as T grows. (The
authors' code multiplies by T²; at the default, T = 1, it is the same.)

The gradient grows as one over the spread of the student's logits, so it is large for a flat row. A row or column that
does not vary has no correlation: ρ counts as 0 and its term as 1, without gradient. The correlation of two values is
±1, whatever they are. So with two classes the rows teach only a sign, and so do the columns of a batch of two: use
large batches.
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
    `beta` weighs the relations between classes (rows), `gamma` those between samples (columns), which need the
    whole batch. Both are at least 0. The loss is between 0 and 2(β + γ). A column counts as constant if no value is
    above 1e-12, or if it varies only by rounding (in float32 about a part in a million), or if a logit of -∞ excludes
    the class in every row. Raises ShapeError, DtypeError and ConfigError.
    """
    check_networks(student_logits, teacher_logits)
    b, c, (N, K) = check_share(beta, "beta"), check_share(gamma, "gamma"), student_logits.shape
    if N < 2 or K < 2:
        raise ShapeError(
            f"student_logits has shape {student_logits.shape}, but dist needs two samples and two classes or more, "
            "because a single value has no correlation; choose a batch size that leaves no last batch of one"
        )
    q, p = softmax(student_logits, temperature), softmax(teacher_logits, temperature)
    (rows, row_lengths), (teacher_rows, _) = standard_rows(q), standard_rows(p)
    (columns, column_lengths), (teacher_columns, _) = standard_rows(q.T), standard_rows(p.T)
    loss: Scalar = b * (1.0 - (rows * teacher_rows).sum() / N) + c * (1.0 - (columns * teacher_columns).sum() / K)
    drows = standard_rows_backward(teacher_rows * (-b / N), rows, row_lengths)
    dcolumns = standard_rows_backward(teacher_columns * (-c / K), columns, column_lengths)
    return loss, softmax_backward(drows + dcolumns.T, q, temperature)
