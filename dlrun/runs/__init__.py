"""A run in its folder: claimed, written, checkpointed, resumed, read back."""
