"""`minikd bench --backend cupy`: times the works of the table on a CUDA device, in minikd and PyTorch."""
