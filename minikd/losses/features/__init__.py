"""Losses between hidden features of a student and of its teacher: (N, D), or maps (N, C, H, W).

The functions are offered by `minikd.losses`. Each returns its value, its gradient with respect to the student's
feature, `dfs`, and then those with respect to the parameters that it was given. The teacher is fixed: its feature has
no gradient.
"""
