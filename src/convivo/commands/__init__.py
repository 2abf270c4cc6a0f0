"""The commands, by theme: each turns its options into one call of a verb, and says how to print it.

Everything heavy is imported inside them, so that help and mistakes are answered at once.
"""
