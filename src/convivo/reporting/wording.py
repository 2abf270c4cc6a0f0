"""The words of a report: metrics by the names people use, their groups, and how to read them."""

from dataclasses import dataclass

from convivo.reporting.formatting import MISSING, at, count, decimal, real, short


@dataclass(frozen=True)
class Wording:
    """How a metric is named, grouped with others and explained in a sentence."""

    name: str
    group: str
    explanation: str


GROUPS = {
    "score": "Scores, from 0 to 1; higher is better",
    "sum": "Sums of scores; higher is better",
    "error": "Errors; lower is better",
    "distance": "Distances; lower is better",
    "other": "Other measures",
}

WORDINGS = {
    "dice": Wording("Dice", "score", "overlap of the two masks: twice the shared part over the "
                    "sum of both; 1 is a perfect match, 0 no overlap"),
    "iou": Wording("Intersection over union", "score", "shared part of the two masks over their "
                   "union; always below Dice unless both are 0 or 1"),
    "nsd": Wording("Surface Dice", "score", "share of the two surfaces that lies within the "
                   "tolerance of the other one"),
    "hd95": Wording("Surface distance, 95 %", "distance", "95 % of the two surfaces lie "
                    "closer to each other than this (Hausdorff distance without its worst 5 %)"),
    "volume_error": Wording("Volume error", "error", "relative difference between the predicted "
                            "and the true volume"),
    "ap50": Wording("Objects found, AP50", "score", "hits over hits, misses and false ones: a hit "
                    "shares half of the union with the true object"),
    "ap": Wording("Objects found, AP", "score", "the same averaged over shares of the union from "
                  "0.5 to 0.95"),
    "count_error": Wording("Error of the number", "error", "relative difference between the number "
                           "of objects found and the true one"),
    "v_rand": Wording("V-Rand", "score", "agreement of the segments enclosed by the membranes"),
    "accuracy": Wording("Accuracy", "score", "share of right answers; flattering where one class "
                        "is much more frequent than the others"),
    "balanced_accuracy": Wording("Balanced accuracy", "score", "mean of the sensitivities of all "
                                 "classes, so that rare ones count as much as frequent ones"),
    "f1": Wording("F1", "score", "harmonic mean of sensitivity and precision, averaged over "
                  "classes"),
    "auroc": Wording("AUROC", "score", "probability that a random case of the class is ranked "
                     "above a random other one; 0.5 is chance"),
    "sensitivity": Wording("Sensitivity", "score", "share of the true members of a class that "
                           "were found"),
    "specificity": Wording("Specificity", "score", "share of the others that were rightly left "
                           "out"),
    "precision": Wording("Precision", "score", "share of the alarms that were right; depends on "
                         "how frequent the class is in this data"),
    "brier": Wording("Brier score", "error", "mean squared error of the predicted probabilities"),
    "ece": Wording("Calibration error", "error", "mean gap between stated confidence and how "
                   "often the answer was right (15 bins)"),
    "j": Wording("J", "sum", "sum of sensitivity and precision for the classes S and V; at most "
                 "4"),
    "j_kappa": Wording("J-kappa", "score", "half of Cohen's kappa plus an eighth of J; 1 is "
                       "perfect"),
    "kappa": Wording("Cohen's kappa", "score", "agreement beyond chance"),
    "q_beats": Wording("Beats of class Q", "other", "true members of the class Q, which take no "
                       "part in any other number"),
    "mae": Wording("Mean absolute error", "error", "mean distance between answer and truth"),
    "rmse": Wording("Root mean squared error", "error", "like the mean absolute error, but large "
                    "misses weigh more"),
    "mse": Wording("Mean squared error", "error", "mean of the squared misses"),
    "r2": Wording("R²", "score", "share of the variance that is explained; 0 is no better than "
                  "the mean"),
    "psnr": Wording("Peak signal-to-noise ratio", "other", "in decibels; higher is better"),
    "ssim": Wording("Structural similarity", "score", "likeness of local structure; 1 is equal"),
    "fid": Wording("Fréchet distance", "distance", "distance between real and generated images "
                   "in the features of a network"),
    "fid_floor": Wording("Fréchet distance, floor", "distance", "that of as many training images "
                         "in their place: no better can be expected"),
    "diversity": Wording("Diversity", "other", "mean distance between generated images over that "
                         "between real ones; 1 is as varied, 0 all alike"),
    "nearest_train": Wording("Nearest training case", "other", "mean distance of generated images "
                             "to the most similar training case over that of test images; well "
                             "below 1 they are copies"),
    "two_sample_auroc": Wording("Told from real ones", "other", "area under the ROC curve of a "
                                "classifier of generated against real images; 0.5 is chance"),
}  # fmt: skip

MEANS = ("dice", "iou", "nsd", "hd95", "volume_error")
MACRO = ("f1",)
NOUNS = {"subject": "subject", "case": "case", "section": "section"}


def wording(metric: str) -> Wording:
    """The wording of a metric name such as `dice` or `dice.anterior`.

    Example:
        >>> wording("dice.anterior").name, wording("my_score").name
        ('Dice', 'My score')
    """
    base = metric.partition(".")[0]
    known = WORDINGS.get(base)
    return known or Wording(base.replace("_", " ").capitalize(), "other", "")


def class_of(metric: str) -> str:
    """The class after the first dot of a metric's name, or an empty text."""
    return metric.partition(".")[2]


def headline_name(metric: str) -> str:
    """The name a sentence starts with.

    Example:
        >>> headline_name("dice"), headline_name("sensitivity.ill"), headline_name("f1")
        ('Mean Dice', 'Sensitivity for ill', 'Macro F1')
    """
    name, of_class = wording(metric).name, class_of(metric)
    if of_class:
        return f"{name} for {of_class}"
    if metric in MEANS:
        return f"Mean {name if name == 'Dice' else name[0].lower() + name[1:]}"
    return f"Macro {name}" if metric in MACRO else name


def interval_text(metric: object, places: int = 3) -> str:
    """The 95 % interval of a metric in words, or an empty text where none is sound."""
    low, high = real(at(metric, "low")), real(at(metric, "high"))
    if low is None or high is None:
        return ""
    return f"{decimal(low, places)} to {decimal(high, places)}"


def places_of(metric: str) -> int:
    """Decimals worth printing: three for scores, two for distances."""
    if metric == "q_beats":
        return 0
    return 2 if wording(metric).group in ("distance", "other") else 3


def headline_sentence(metric: str, value: object, evaluation: object) -> str:
    """The one sentence that says how good the network is.

    Example:
        >>> found = {"value": 0.884, "low": 0.871, "high": 0.896}
        >>> headline_sentence("dice", found, {"cases": 36, "unit": "case", "units": 36})
        'Mean Dice 0.884 (95 % interval 0.871 to 0.896) over 36 test cases.'
    """
    places, unit = places_of(metric), at(value, "unit")
    number = decimal(at(value, "value"), places) + (f" {unit}" if unit else "")
    interval = interval_text(value, places)
    sure = f"95 % interval {interval}" if interval else "no sound interval"
    return f"{headline_name(metric)} {number} ({sure}) over {population(evaluation)}."


def population(evaluation: object) -> str:
    """Over how many cases and units a result was found, in words.

    Example:
        >>> population({"cases": 913, "unit": "subject", "units": 40})
        '913 test cases from 40 subjects'
        >>> population({"cases": 5, "beats": 9120, "unit": "subject", "units": 5})
        '9,120 beats in 5 test cases from 5 subjects'

    More items than cases are beats where the metrics are those of beats.
    """
    cases, units = at(evaluation, "cases"), at(evaluation, "units")
    kind = NOUNS.get(str(at(evaluation, "unit")), "unit")
    part = "validation" if at(evaluation, "split") == "val" else "test"
    text = count(cases, f"{part} case") if real(cases) is not None else f"the {part} cases"
    items = real(at(evaluation, "beats")) or real(at(evaluation, "items")) or 0
    if items > (real(cases) or 0):
        is_beats = at(evaluation, "beats") or at(evaluation, "metrics", "j_kappa")
        text = f"{count(items, 'beat' if is_beats else 'item')} in {text}"
    if real(units) is None or (kind == "case" and units == cases):
        return text
    return f"{text} from {count(units, kind)}"


def setting(value: object) -> str:
    """A plain value of a plan or configuration as text; lists as sizes.

    Example:
        >>> setting(True), setting([2, 3]), setting(None), setting(1e-3), setting("bf16")
        ('yes', '2 × 3', '–', '0.001', 'bf16')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return MISSING
    if isinstance(value, list | tuple):
        return " × ".join(setting(v) for v in value) or MISSING
    number = isinstance(value, int | float)
    return short(value, 4) if number or real(value) is not None else str(value)
