"""Names of classes: stored values -> names, and which of two classes is the positive one."""

import re
from collections.abc import Sequence
from dataclasses import replace

from convivo.data.readers.labels import colour_name
from convivo.data.sample import Index
from convivo.errors import UsageError, nearest_name

FEW_UNNAMED = 20  # values; more without names may well number objects
MOST_UNNAMED = 128  # values; more in maps without names are grey levels or object numbers

_DISEASE = """
    abnormal abnormality adenocarcinoma adenoma af afib anomalous anomaly aneurysm arrhythmia
    bacteria bleeding cancer cancerous carcinoma covid covid19 damaged defect defective
    disease diseased dysplasia effusion epilepsy fibrillation fracture fractured glaucoma
    glioma hemorrhage hyperplasia infarct infarction infected infiltration inflamed ischemia
    lesion malaria malignant mass melanoma metastasis metastatic mi nodule parasite
    parasitised parasitized pathologic pathological pathology patient patients pneumonia
    pneumothorax polyp positive pvc retinopathy seizure sick stenosis stroke tb tuberculosis
    tumor tumour ulcer unhealthy virus
"""
DISEASE = frozenset(_DISEASE.split())
"""Words of a class name that say disease."""

_HEALTH = """
    benign clean clear control controls free healthy negative no non none normal not nothing
    un unaffected without
"""
HEALTH = frozenset(_HEALTH.split())
"""Words that say its absence; one of them outweighs any word of DISEASE ("no tumor")."""


def parse_labels(text: str) -> dict[str, str]:
    """`--labels "0=membrane,255=cell"` as stored value or old name -> new name.

    Raises:
        UsageError: a part without `=`, an empty side, a value or a name given twice.
    Example:
        >>> parse_labels("0=membrane, 255=cell")
        {'0': 'membrane', '255': 'cell'}
    """
    names: dict[str, str] = {}
    for part in text.split(","):
        value, equals, name = (side.strip() for side in part.partition("="))
        if not (value and equals and name) or value in names or name in names.values():
            rule = "every part of the map is VALUE=NAME, each once"
            raise UsageError("--labels", rule, repr(part), 'Write it like "0=membrane,255=cell"')
        names[value] = name
    return names


def rename(index: Index, text: str | None) -> Index:
    """The index with its classes renamed by `--labels`, by stored value or by present name.

    Raises:
        UsageError: the map speaks of a class that is not there, or makes two names equal.
    """
    if text is None:
        return index
    values = index.label_values or tuple(range(len(index.classes)))
    place = {name: i for i, name in enumerate(index.classes)}
    if index.label_values is not None:  # in label maps the number means the stored value
        place |= {str(value): i for i, value in enumerate(values)}
    classes = list(index.classes)
    for old, new in parse_labels(text).items():
        if old not in place:
            raise UsageError("--labels", "a known class", repr(old), nearest_name(old, place))
        classes[place[old]] = new
    if len(set(classes)) < len(classes):
        raise UsageError("--labels", "class names differ", classes, "Give each its own name")
    return replace(index, classes=tuple(classes))


def names_of_values(values: Sequence[int]) -> tuple[str, ...]:
    """Names for label values that nothing names: their text, and "background" for a plain 0.

    Zero is background where it stands beside 1 or among several classes; in a map of (0, 255)
    either may be the object, so both keep their number. Colours are called `#rrggbb`.

    Example:
        >>> names_of_values((0, 1)), names_of_values((0, 255)), names_of_values((0, 1, 4))
        (('background', '1'), ('0', '255'), ('background', '1', '4'))
    """
    plain = len(values) > 2 or 1 in values
    return tuple("background" if v == 0 and plain else colour_name(v) or str(v) for v in values)


def positive_class(classes: Sequence[str], wanted: str | None = None) -> str | None:
    """Of two classes the one that counts as found: `wanted`, else by name, else label index 1.

    By name: exactly one of the two says disease, or exactly one says health (then the other). None
    unless there are two classes.

    Raises:
        UsageError: `wanted` is not a class, or there are not two classes.
    Example:
        >>> positive_class(("Parasitized", "Uninfected")), positive_class(("0", "255"))
        ('Parasitized', '255')
    """
    if wanted is not None and wanted not in classes:
        raise UsageError("--positive", "a known class", repr(wanted), nearest_name(wanted, classes))
    if len(classes) != 2:
        if wanted is not None:
            remedy = "Leave it out: every class gets its own sensitivity"
            raise UsageError("--positive", "two classes", f"{len(classes)} classes", remedy)
        return None
    return wanted or classes[_positive_place(classes)]


def _positive_place(classes: Sequence[str]) -> int:
    healthy = [_says_health(name) for name in classes]
    if healthy[0] != healthy[1]:
        return int(healthy[0])
    sick = [bool(DISEASE.intersection(_words(name))) for name in classes]
    return 0 if sick == [True, False] else 1


def _words(name: str) -> list[str]:
    """Lower-case words of a class name, split at separators and at camelCase."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+(?:19)?", spaced.lower())


def _says_health(name: str) -> bool:
    words = _words(name)
    negated = {word.removeprefix(prefix) for word in words for prefix in ("non", "un")}
    return bool(HEALTH & set(words) or DISEASE & (negated - set(words)))
