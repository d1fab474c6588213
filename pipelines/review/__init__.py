"""The review: a person reads rows one at a time and decides, and the decisions become a version.

decisions    events, what stands after them, undo, merging of two reviewers
log          one event a line, safe on disk before it counts
queues       which rows come, and in which order
active       which rows tell most about how many are wrong, and the interval that holds at any time
candidates   what else was sampled for a row
rows         rows by number and key, texts read when asked for
session      one reviewer at one version: rows by place, decisions, edits under the gate
latex        formulas as text that is read
render       rows as trees of elements that no text can break out of
server       the page on the loopback interface, behind a token
commit       decisions as the next version
"""
