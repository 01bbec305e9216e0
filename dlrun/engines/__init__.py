"""Engines: what carries out the steps of a training, besides the kernels of NumPy."""
