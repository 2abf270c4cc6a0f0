"""`CARD.md`: what an exported model is for, how good it is, and where its limits are."""

from collections.abc import Iterator, Mapping
from typing import Any

from convivo.exporting.parity import words

KINDS = {
    "map": "a class for every position",
    "table": "a class for each case",
    "number": "a number for each case",
    "image": "the input rebuilt, and an anomaly score",
}
UNITS = {1: "signals", 2: "images", 3: "volumes"}
SHOWN = 24  # metrics


def card(
    document: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    receipt: Mapping[str, Any],
    parity: Mapping[str, Any],
) -> str:
    """The page, in Markdown.

    Args:
        document: the pipeline. evaluation: of the run's test part, if there is one.
    """
    blocks = [
        _head(document),
        _use(document),
        "\n".join(_results(evaluation)),
        "\n".join(_limits(document, evaluation, receipt)),
        f"## Agreement\n\n{words(parity)}",
        _making(document, receipt),
    ]
    return "\n\n".join(blocks) + "\n"


def _head(document: Mapping[str, Any]) -> str:
    kind, dims = document["output"]["kind"], document["spatial_dims"]
    what = "each beat" if document["sampling"]["mode"] == "window" else UNITS[dims]
    classes = document["output"]["classes"]
    named = f" Classes: {', '.join(classes)}." if classes else ""
    return (
        f"# {document['network']}, {document['task']}, {dims}D\n\n"
        f"Answers {KINDS[kind]}, from {what}.{named}\n\n"
        "```\npip install -r requirements.txt\npython run.py INPUT... --out DIR\n```"
    )


def _use(document: Mapping[str, Any]) -> str:
    seen = document["preparation"]
    names = seen.get("channel_names") or ()
    channels = f"{seen['channels']} channel{'s' * (seen['channels'] > 1)}"
    lines = [f"- {channels}{': ' + ', '.join(names) if names else ''}"]
    if seen.get("spacing"):
        lines.append(f"- brought to a spacing of {' x '.join(f'{v:.4g}' for v in seen['spacing'])}")
    if seen.get("orientation"):
        lines.append(f"- turned to {seen['orientation']}")
    lines.append(f"- grey values: {seen.get('normalization', 'zscore')}")
    text = "\n".join(lines)
    return (
        "## Intended use\n\nResearch, on inputs like those it was trained on, which are\n\n"
        f"{text}\n\nIt is no medical device, and no decision about a patient may rest on it alone."
    )


def _results(evaluation: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## How good it is\n"
    if evaluation is None:
        yield "The run has no evaluation."
        return
    yield (
        f"On the run's {evaluation.get('split', 'test')} part: {evaluation['cases']} cases of "
        f"{evaluation['units']} units ({evaluation['unit']}), with 95 % intervals.\n"
    )
    yield "| metric | value | low | high |\n|---|---|---|---|"
    rows = [(n, m) for n, m in evaluation["metrics"].items() if _is_value(m)]
    for name, metric in rows[:SHOWN]:
        unit = f" {metric['unit']}" if metric.get("unit") else ""
        values = [_text(metric.get(key)) for key in ("value", "low", "high")]
        yield f"| {name}{unit} | {' | '.join(values)} |"


def _is_value(metric: Any) -> bool:
    return isinstance(metric, Mapping) and isinstance(metric.get("value"), int | float)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "–"


def _limits(
    document: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    receipt: Mapping[str, Any],
) -> Iterator[str]:
    yield "## Limits\n"
    yield "- Other devices, protocols, populations and diseases than those of its data are untried."
    if evaluation is not None and evaluation.get("unit") != "subject":
        yield "- Subjects were not known: the intervals may be too narrow."
    looks = int(receipt.get("test_evaluations", 0))
    if looks > 1:
        yield f"- The test part was evaluated {looks} times: its figures may be too good."
    if evaluation is not None and evaluation["units"] < 20:
        yield f"- Only {evaluation['units']} units were tested."
    if document["sampling"]["mode"] == "patch" and document["tiling"]["multiple"] is None:
        size = " x ".join(map(str, document["sampling"]["size"]))
        yield f"- Larger and smaller inputs are answered in tiles of {size}."


def _making(document: Mapping[str, Any], receipt: Mapping[str, Any]) -> str:
    made = document["made"]
    rows = {
        "convivo": made.get("version"),
        "multiplications": document["model"]["precision"],
        "weights (SHA-256)": made.get("weights_sha256"),
        "data (SHA-256)": (receipt.get("data") or {}).get("sha256"),
        "training cases, with validation and test": (receipt.get("data") or {}).get("cases"),
        "trained": receipt.get("started"),
    }
    return "## How it was made\n\n" + "\n".join(f"- {k}: {v}" for k, v in rows.items() if v)
