"""Experiments: many trainings over several seeds, and their combined results."""
