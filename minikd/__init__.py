"""minikd: knowledge distillation from scratch, every gradient written by hand on NumPy (CuPy where a GPU answers)."""
