"""Distillation: where the teacher's outputs come from, what a run is made of, and the run itself."""
