"""Public data sets, and drawn scenes in their layout (chapters 3, 10 and 12)."""
