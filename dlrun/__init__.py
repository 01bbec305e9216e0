"""dlrun: an experiment runner for neural networks, trained as stacks of replicas."""

__version__ = "0.1.0"
