"""`recast effect`: the proof. A grid of data sets, objectives and seeds, trained, measured and compared.

`grid` says what is compared, fixed before any reported seed is run; `subject` what it is measured on; `plan` turns
cells into stages; `selection` chooses learning rates and the best agent, by one rule for every arm, on questions
that are not reported; `datasets`, `table` and `picture` say what came out; `effect` runs the whole.

Two further proofs go on from lines of finished cells (`cells`): `chains` of stages, and `real`, on a model that was not
made for it.
"""
