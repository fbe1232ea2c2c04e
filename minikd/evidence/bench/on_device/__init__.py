"""`minikd bench --backend cupy`: the works of the table on a CUDA device, beside PyTorch there."""
