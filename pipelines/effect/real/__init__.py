"""`recast effect --real`: the proof on a model that nobody here made.

`grid` says what is compared, fixed before any reported seed is run; `problems` and `instructions` write the world, word
problems that are taught and instructions that must not be forgotten, `checks` is what grades the latter, `subject` the
files of both; `plan` turns cells into stages; `measurements` is what is kept of a finished cell; `table` says what came
out; `proof` runs the whole.
"""
