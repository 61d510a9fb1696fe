"""Fuzzing: what strangers may send to each parser, made at random from intact examples.

`mutations` makes inputs of bytes and of values, `parsers` says what is read and from which examples, `harness`
feeds the one to the other. `python -m tests.fuzz` (`make fuzz`) writes the table of a long run.
"""
