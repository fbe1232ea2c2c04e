"""`minikd bench`: the same work from the same weights in minikd, in PyTorch and in other engines, side by side."""
