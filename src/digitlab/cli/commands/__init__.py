"""One module a command, or a group of them. What they share lies beside this folder."""
