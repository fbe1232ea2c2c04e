"""Experiments: many trainings side by side over several seeds, and what they say together."""
