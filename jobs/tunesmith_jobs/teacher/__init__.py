"""The teacher: calls, answers, and how an endpoint is asked.

`endpoint.py` is the interface, `kinds.py` the table of its implementations; each of them is a file of its
own.
"""
