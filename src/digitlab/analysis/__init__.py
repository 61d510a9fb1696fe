"""Analysis: results of a study -> findings. Numbers only: nothing is drawn, nothing is read from disk."""
