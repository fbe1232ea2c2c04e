"""Data sets that are not MNIST, and what the default run makes of them: python -m tests.own_data"""
