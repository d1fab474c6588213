"""The review: a person reads rows one at a time and decides, and the decisions become a version.

decisions    one event a line, safe on disk before it counts; replay, undo, merging of two reviewers
queues       which rows come, and in which order
candidates   what else was sampled for a row
session      one reviewer at one version: rows by place, decisions, edits under the gate
latex        formulas as text that is read
render       rows as trees of elements that no text can break out of
server       the page on the loopback interface, behind a token
commit       decisions as the next version
"""
