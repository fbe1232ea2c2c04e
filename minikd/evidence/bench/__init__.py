"""`minikd bench`: times the same work, from the same weights, in minikd, PyTorch and other engines."""
