"""Distillation: the teacher's outputs, the settings of a run, and the run itself."""
