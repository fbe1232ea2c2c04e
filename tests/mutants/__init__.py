"""Bugs to plant in the engine, and the checks that must find them: see tests/test_mutants.py."""
