"""A router for each subject: it reads what was sent, calls a service, and answers."""
