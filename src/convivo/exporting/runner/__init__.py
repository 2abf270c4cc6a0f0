"""What an exported folder runs: NumPy, SciPy, the readers and one backend. No torch, no convivo.

The files here are copied into the folder with all that they import (`exporting.copying`).
"""
