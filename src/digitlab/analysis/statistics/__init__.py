"""Statistics: estimates, intervals, fits and verdicts on plain arrays. They know nothing of studies."""
