"""plan --ranks --strategy, from the outside."""

import json

import jsonschema
import pytest

from convivo.cli import main
from convivo.errors import UsageError
from convivo.schemas import schema
from convivo.verbs.plan import plan

NET = {"net": "resnet18", "input": "3,33,32", "settings": ["net.width=0.25"], "batch": 2}


def test_the_document_of_a_rank_fits_the_schema_and_its_words_name_the_world():
    planned = plan(**NET, ranks=4, strategy="fsdp")
    document = planned.document()
    jsonschema.validate(document, schema("plan"))
    assert (document["ranks"], document["strategy"]) == (4, "fsdp")
    assert "memory of a rank, of 4 (fsdp)" in planned.text()


def test_limits_of_memory_are_not_for_ranks():
    message = "--ranks: memory is solved for where one process trains alone; got 4 ranks."
    with pytest.raises(UsageError, match=message):
        plan(**NET, ranks=4, strategy="ddp", ram="2G")


def test_ranks_without_strategy_end_with_status_two(capsys):
    command = ["plan", "--net", "resnet18", "--input", "3,33,32", "--ranks", "2", "--json"]
    assert main(command) == 2
    assert json.loads(capsys.readouterr().out)["error"]["where"] == "--strategy"
