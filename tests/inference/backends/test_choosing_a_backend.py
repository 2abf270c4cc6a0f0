"""`auto` takes what is done first with torch's answers; what fails or lies is left."""

import json

import numpy as np
import pytest

from convivo.inference.backends import record
from convivo.inference.backends.choosing import Auto
from convivo.inference.backends.engine import Unavailable, unavailable
from convivo.inference.backends.serving import Serving
from convivo.inference.backends.trial import Tried, fastest, try_out
from convivo.tasks.classify import Classify
from convivo.tasks.regress import Regress
from convivo.tasks.segment import Segment

from .engines import Fixed, predictor_of

TASK = Classify(classes=("a", "b"))
GIVEN = np.zeros((4, 1, 3), np.float32)


def truth(given):
    return np.tile(np.array([[0.8, 0.2]], np.float32), (len(given), 1))


def lie(given):
    return truth(given)[:, ::-1].copy()


def cannot(given):
    raise unavailable("openvino", "an operation it does not know")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def auto(*candidates, items=4e9, **more):
    """One whose work is long whatever the clock says, but for `items`."""
    said = []
    fields = {"short": 0.0, "worth": 0.0} | more
    serving = Auto(
        candidates=list(candidates), torch=Fixed("torch", truth), task=TASK, items=items,
        key=lambda shape: f"key of {shape}", say=said.append, **fields,
    )  # fmt: skip
    return serving, said


def test_a_backend_that_lies_is_not_chosen():
    liar = Fixed("openvino", lie)
    serving, said = auto(liar)
    assert np.array_equal(serving(GIVEN), truth(GIVEN))
    assert serving.ran == {"backend": "torch", "precision": "fp32"}
    assert any("openvino in fp32 is passed over: another class for 4 of 4" in s for s in said)


def test_a_backend_that_cannot_convert_is_passed_over_and_that_is_said():
    serving, said = auto(Fixed("openvino", cannot))
    assert np.array_equal(serving(GIVEN), truth(GIVEN))
    assert serving.ran["backend"] == "torch"
    assert any("passed over: an operation it does not know" in line for line in said)


def test_what_was_found_is_kept_and_serves_the_next_time():
    serving, _ = auto(Fixed("openvino", truth, "bf16"), Fixed("onnx", lie))
    serving(GIVEN)
    (row,) = json.loads(record.record_file().read_text()).values()
    assert set(row) == {"torch fp32", "openvino bf16", "onnx fp32"}
    assert "another class" in row["onnx fp32"]["failed"]
    record.keep("key of (4, 1, 3)", {"torch fp32": Tried(seconds=9), "onnx fp32": Tried(seconds=1)})
    again = Fixed("onnx", truth)
    serving, _ = auto(again)
    serving(GIVEN)
    assert serving.ran["backend"] == "onnx"
    assert again.asked == 1, "nothing was timed anew"


def test_little_work_stays_with_torch_and_nothing_is_tried():
    engine = Fixed("openvino", truth)
    serving, said = auto(engine, items=4, short=1e6, worth=1e6)
    for _ in range(3):
        serving(GIVEN)
    assert (engine.asked, said, serving.torch.asked) == (0, [], 3)
    assert not record.record_file().exists()


def test_work_between_the_two_looks_at_the_record_only():
    engine = Fixed("openvino", truth)
    serving, _ = auto(engine, worth=1e300)
    serving(GIVEN)
    assert engine.asked == 0
    assert serving.ran["backend"] == "torch"


def test_what_was_kept_of_a_liar_is_checked_all_the_same():
    record.keep("key of (4, 1, 3)", {"torch fp32": Tried(seconds=9), "onnx fp32": Tried(seconds=1)})
    serving, said = auto(Fixed("onnx", lie))
    assert np.array_equal(serving(GIVEN), truth(GIVEN))
    assert serving.ran["backend"] == "torch"
    assert any("going on with torch" in line for line in said)


def test_damaged_records_are_as_none():
    for text in ("no JSON", "[]", '{"k": {"torch fp32": 3}}', '{"k": {"torch fp32": {}}}'):
        record.record_file().parent.mkdir(exist_ok=True)
        record.record_file().write_text(text)
        assert record.remembered("k") == {}


def test_only_so_many_records_are_kept(monkeypatch):
    monkeypatch.setattr(record, "MOST", 2)
    for key in "abc":
        record.keep(key, {"torch fp32": Tried(seconds=1)})
    assert [bool(record.remembered(key)) for key in "abc"] == [False, True, True]


def test_other_weights_or_sizes_are_another_record():
    keys = {
        record.record_key(predictor_of("classes 2D", seed=seed).network, {}, shape)
        for seed in (0, 1)
        for shape in ((4, 2, 24, 16), (4, 2, 16, 24))
    }
    assert len(keys) == 4


def test_getting_ready_counts():
    found = {"torch fp32": Tried(seconds=2), "openvino bf16": Tried(seconds=1, ready=10)}
    assert fastest(found, 5) == "torch fp32"
    assert fastest(found, 11) == "openvino bf16"
    assert fastest(found | {"onnx fp32": Tried(failed="why")}, 11) == "openvino bf16"


def test_float32_is_tried_where_bfloat16_does_not_do():
    for answer, expected in ((lie, True), (truth, False)):
        engines = [Fixed("openvino", answer, "bf16"), Fixed("openvino", truth)]
        found = try_out(engines, GIVEN, torch=Fixed("torch", truth), task=TASK)
        assert ("openvino fp32" in found) is expected


def serving(*engines):
    said = []
    torch = Fixed("torch", truth)
    return Serving(engines=list(engines), torch=torch, task=TASK, say=said.append), said


def test_named_backend_goes_on_in_float32_where_bfloat16_lies():
    named, said = serving(Fixed("openvino", lie, "bf16"), Fixed("openvino", truth))
    assert np.array_equal(named(GIVEN), truth(GIVEN))
    assert named.ran == {"backend": "openvino", "precision": "fp32"}
    assert said == [
        "openvino in bf16: another class for 4 of 4, held against torch; "
        "going on with openvino in fp32"
    ]


def test_named_backend_that_lies_in_float32_is_an_error_each_time():
    named, _ = serving(Fixed("onnx", lie))
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"another class for 4 of 4, held against torch"):
            named(GIVEN)


def test_each_new_size_is_held_against_torch():
    named, _ = serving(Fixed("onnx", lambda x: (truth if x.shape[2] == 3 else lie)(x)))
    named(GIVEN)
    with pytest.raises(Unavailable):
        named(np.zeros((4, 1, 5), np.float32))


def test_what_ran_is_told_when_one_fails_midway():
    engine = Fixed("onnx", lambda x: (truth if x.shape[2] == 3 else lie)(x))
    named, _ = serving(engine)
    named.engines.append(named.torch)
    named(GIVEN)
    named(GIVEN)
    named(np.zeros((4, 1, 5), np.float32))
    assert named.ran == {"backend": "onnx+torch", "precision": "fp32"}


@pytest.mark.parametrize(
    ("task", "reference", "alike", "apart"),
    [
        (Segment(classes=("a", "b")), 0.8, 0.55, 0.45),
        (Classify(classes=("a", "b")), 0.8, 0.81, 0.85),
        (Classify(classes=("a", "b"), several=True), 0.51, 0.505, 0.495),
        (Regress(classes=(), mean=0, std=1), 5.0, 5.004, 5.02),
    ],
)
def test_answers_are_held_against_each_other_as_the_task_gives_them(task, reference, alike, apart):
    from convivo.inference.backends.agreement import disagreement

    def rows(first):
        tail = (6, 5) if task.name == "segment" else ()
        pair = [first, 1 - first] if task.name != "regress" else [first]
        return np.multiply.outer(np.ones(3), np.multiply.outer(pair, np.ones(tail)))

    assert disagreement(task, rows(alike), rows(reference)) == ""
    assert disagreement(task, rows(apart), rows(reference))
    assert "not finite" in disagreement(task, rows(np.nan), rows(reference))
    assert "instead of" in disagreement(task, rows(alike)[:2], rows(reference))
