"""`recast effect --stages`: what comes after the data. Chains of fine-tuning stages, compared.

`grid` says which chains, on which data, fixed before any reported seed is run; `subject` what they are measured on;
`plan` turns cells into stages; `measurements` is what is kept of a finished cell; `table` and `picture` say what came
out; `proof` runs the whole.
"""
