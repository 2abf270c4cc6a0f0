"""verify: the receipt of a run held against what is there."""

from pathlib import Path
from typing import Any

from convivo.errors import ConvivoError
from convivo.files import sha256
from convivo.verbs.receipt import data_hash, plan_hash, split_hash
from convivo.verbs.run import Run, as_run


def verify(run: Run | str | Path) -> dict[str, Any]:
    """Compare a run's files, and its data where it still is, with the receipt.

    Returns:
        {"schema": 1, "ok": bool, "findings": [{"severity", "what", "message"}]}.
    Raises:
        ReadError: no run there, or one without a receipt.
    """
    run = as_run(run)
    receipt = run.folder.json("receipt.json")
    changed = "is not what the receipt says; it was changed after the run"
    findings = [
        _finding("error", what, f"{what} {changed}")
        for what, matches in _checks(run, receipt)
        if not matches
    ]
    findings += _data(run, receipt)
    looks = int(receipt.get("test_evaluations", 1))
    if looks > 1:
        message = f"the test part was evaluated {looks} times: choices made in between weaken it"
        findings.append(_finding("note", "test_evaluations", message))
    ok = not any(finding["severity"] == "error" for finding in findings)
    return {"schema": 1, "ok": ok, "findings": findings}


def _finding(severity: str, what: str, message: str) -> dict[str, str]:
    return {"severity": severity, "what": what, "message": message}


def _checks(run: Run, receipt: dict[str, Any]) -> list[tuple[str, bool]]:
    folder = run.folder
    weights, evaluation = (folder / name for name in ("weights.safetensors", "evaluation.json"))
    return [
        ("plan.json", plan_hash(folder.json("plan.json")) == receipt.get("plan_sha256")),
        ("split.json", split_hash(folder.json("split.json")) == receipt.get("split_sha256")),
        (weights.name, _file_hash(weights) == receipt.get("weights_sha256")),
        (evaluation.name, _file_hash(evaluation) == receipt.get("evaluation_sha256")),
    ]  # fmt: skip


def _file_hash(path: Path) -> str | None:
    return sha256(path) if path.exists() else None


def _data(run: Run, receipt: dict[str, Any]) -> list[dict[str, str]]:
    from convivo.verbs.evaluate import own_data

    try:
        inspection = own_data(run)
    except ConvivoError as error:
        return [_finding("note", "data", f"the data could not be compared: {error}")]
    if data_hash(inspection)["sha256"] == receipt.get("data", {}).get("sha256"):
        return []
    return [_finding("error", "data", "the data is not what the run was trained on")]
