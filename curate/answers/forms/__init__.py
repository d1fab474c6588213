"""Forms of answers that are more than a number: each module reads one and compares two of it.

A form's `compare(a, b)` says True, False, None where it cannot be told, or OPEN where neither answer has the form.
Dates, codes and ranges come before arithmetic, which would read `2021-03-05` as a difference.
"""
