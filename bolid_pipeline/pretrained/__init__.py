"""Weights that others trained: which file, is it the right one, and the network that it belongs to."""
