"""Tests of the known bugs, and of what is said of them."""
