"""Lesson 14: a loss that compares the directions of features. Check it with `minikd check 14`. It needs numpy."""


def directions(x):
    """Return the rows of x (N, D), each divided by its length: (N, D). No row of x is all zeros."""
    raise NotImplementedError("write directions")


def directions_backward(da, x):
    """Return dx (N, D), from da (N, D), the gradient with respect to a = directions(x).

    Use the lesson's steps 5 and 6: the length of a row depends on each of its values.
    """
    raise NotImplementedError("write directions_backward")


def cosine_loss(fs, ft):
    """Return the mean over the N samples of 1 - cosine of the student's and the teacher's feature, a number.

    fs, ft: (N, D). The cosine of two rows is the product of their directions, summed over the D values.
    """
    raise NotImplementedError("write cosine_loss")


def cosine_gradient(fs, ft):
    """Return the gradient of cosine_loss with respect to fs, (N, D). The teacher's ft is fixed."""
    raise NotImplementedError("write cosine_gradient")
