"""One module for each kind of study: its conditions -> findings."""
