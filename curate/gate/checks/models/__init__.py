"""Checks that ask a model; undecided without one."""
