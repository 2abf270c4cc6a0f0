"""Names of classes: the --labels map, values without names, the positive one of two."""

from pathlib import Path

import pytest

from convivo.data.labels import names_of_values, parse_labels, positive_class, rename
from convivo.data.sample import Index
from convivo.errors import UsageError


def make_index(classes: tuple[str, ...], values: tuple[int, ...] | None = None) -> Index:
    task = "classify" if values is None else "segment"
    return Index(
        layout="manifest",
        root=Path("data"),
        task=task,
        spatial_dims=2,
        cases=(),
        classes=classes,
        label_values=values,
    )


@pytest.mark.parametrize("text", ["0", "0=", "=a", "0=a,0=b", "0=a,1=a", ""])
def test_a_malformed_map_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--labels: every part of the map is VALUE=NAME"):
        parse_labels(text)


def test_stored_values_are_renamed() -> None:
    index = rename(make_index(("0", "255"), (0, 255)), "0=membrane,255=cell")
    assert index.classes == ("membrane", "cell")


def test_classes_are_renamed_by_their_name_and_others_stay() -> None:
    assert rename(make_index(("a", "b")), "b=sick").classes == ("a", "sick")


def test_a_number_means_the_stored_value_of_a_label_map() -> None:
    index = rename(make_index(("background", "1"), (0, 1)), "1=organ,background=air")
    assert index.classes == ("air", "organ")


def test_an_unknown_class_in_the_map_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--labels: a known class; got 'tumr'. Did you mean"):
        rename(make_index(("tumor", "other")), "tumr=x")


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="class names differ"):
        rename(make_index(("a", "b")), "a=b")


def test_zero_is_background_among_classes_but_not_beside_255() -> None:
    assert names_of_values((0, 1)) == ("background", "1")
    assert names_of_values((0, 255)) == ("0", "255")
    assert names_of_values((0, 128, 255)) == ("background", "128", "255")
    assert names_of_values((1, 2)) == ("1", "2")


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("Parasitized", "Uninfected"), "Parasitized"),
        (("Uninfected", "Parasitized"), "Parasitized"),
        (("benign", "malignant"), "malignant"),
        (("malignant", "benign"), "malignant"),
        (("afib", "normal"), "afib"),
        (("no_tumor", "yes_tumor"), "yes_tumor"),
        (("CovidPositive", "CovidNegative"), "CovidPositive"),
        (("tumor", "nontumor"), "tumor"),
        (("pneumonia", "zebra"), "pneumonia"),
        (("0", "1"), "1"),
        (("-1", "1"), "1"),
        (("cat", "dog"), "dog"),
    ],
)
def test_the_positive_class_is_the_one_that_says_disease(
    classes: tuple[str, str], positive: str
) -> None:
    assert positive_class(classes) == positive


def test_more_than_two_classes_have_no_positive_one() -> None:
    assert positive_class(("normal", "sick", "tumor")) is None


def test_the_positive_class_can_be_chosen() -> None:
    assert positive_class(("0", "1"), "0") == "0"


def test_choosing_an_unknown_or_needless_positive_class_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--positive: a known class; got 'tumr'"):
        positive_class(("tumor", "normal"), "tumr")
    with pytest.raises(UsageError, match=r"--positive: two classes; got 3 classes"):
        positive_class(("a", "b", "c"), "a")
