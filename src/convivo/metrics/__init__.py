"""From answers to numbers: what a network was worth on cases it never saw, with intervals.

Every file reduces cases to sums per unit, so that a bootstrap over units is a weighted sum.
NumPy, SciPy and scikit-image only; arrays in, plain dictionaries ready for JSON out.

intervals.py       resampling of units, the interval rules, `entry`
counts.py          hits, truths and predictions per class, and the ratios made of them
roc.py             AUROC, DeLong's interval, curves
calibration.py     Brier score, calibration error and curve
classification.py  all of them for a classifier;  beats.py  the same for AAMI heart beats
surfaces.py        distances between outlines;  segmentation.py  overlap and distance per class
membranes.py       V-Rand after thinning of borders;  regression.py  errors of a number
"""
