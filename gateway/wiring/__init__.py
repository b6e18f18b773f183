"""The composition root: the only package that knows every part.

Each file builds the parts of one concern from the `base` and from those built before
it; `parts` builds them in the order of their needs, starts and ends them.
"""
