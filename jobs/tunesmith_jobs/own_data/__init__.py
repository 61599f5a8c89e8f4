"""Own data instead of a teacher: a file's bytes become rows, and every bad line is named.

`reader.py` is the interface for a form of file, `readers.py` the table of its implementations; each is a
file of its own.
"""
