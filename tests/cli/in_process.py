"""Commands run in this process, as `digitlab` would run them."""

from typer.testing import CliRunner, Result

from digitlab.cli.app import app


def run(*arguments: object, answer: str | None = None) -> Result:
    """What came of a command line. answer: what is typed in."""
    return CliRunner().invoke(app, list(map(str, arguments)), input=answer)


def output(*arguments: object, answer: str | None = None) -> str:
    """What a command that succeeds writes to stdout."""
    done = run(*arguments, answer=answer)
    assert done.exit_code == 0, done.output
    return done.stdout
