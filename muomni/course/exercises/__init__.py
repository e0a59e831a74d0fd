"""The judges of the exercises: one module for each chapter that has some, `chNN.py`, found by its number."""
