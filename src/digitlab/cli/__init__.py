"""The command line: `main` starts it, `app` puts the commands together; each has a module in `commands`;
`terminal` is how they speak.

Modules here import typer only. What a command needs of the laboratory (torch, pydantic) and of rich it
imports when it runs: `digitlab --help` must not wait for it.
"""
