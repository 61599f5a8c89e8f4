"""Documents of a user (`data.documents`): a file's bytes become blocks of text, and those become passages.

`block.py` is what every form of file becomes; `forms.py` tells a file's form; `passages.py` cuts.
"""
