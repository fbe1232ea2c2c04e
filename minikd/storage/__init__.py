"""Writes a file completely or not at all, and checks a file before its contents are used."""
