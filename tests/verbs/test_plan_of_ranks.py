"""plan --ranks --strategy, from the outside."""

import json

import jsonschema

from convivo.cli import main
from convivo.schemas import schema
from convivo.verbs.plan import plan

NET = {"net": "resnet18", "input": "3,33,32", "settings": ["net.width=0.25"], "batch": 2}


def test_the_document_of_a_rank_fits_the_schema_and_its_words_name_the_world():
    planned = plan(**NET, ranks=4, strategy="fsdp")
    document = planned.document()
    jsonschema.validate(document, schema("plan"))
    assert (document["ranks"], document["strategy"]) == (4, "fsdp")
    assert "memory of a rank, of 4 (fsdp)" in planned.text()


def test_a_limit_of_memory_is_that_of_a_rank():
    asked = NET | {"batch": None, "input": "3,65,64", "settings": ()}  # weights that matter
    alone = plan(**asked, ram="600M").document()
    ranks = plan(**asked, ram="600M", ranks=8, strategy="fsdp").document()
    for document in (alone, ranks):
        jsonschema.validate(document, schema("plan"))
        bound = document["memory"]["process_bound"]
        assert document["solution"]["bytes"] <= bound <= 600 * 2**20
    assert ranks["batch"] > alone["batch"] > 1  # a rank holds an eighth of the weights


def test_ranks_without_strategy_end_with_status_two(capsys):
    command = ["plan", "--net", "resnet18", "--input", "3,33,32", "--ranks", "2", "--json"]
    assert main(command) == 2
    assert json.loads(capsys.readouterr().out)["error"]["where"] == "--strategy"
