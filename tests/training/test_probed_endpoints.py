"""Probes of a served model: answers of a server are not those of the next one at the same address."""

from pathlib import Path

from evals.positions.probes import Form, ProbeSettings
from tests.support.bad_server import Say, ScriptedServer
from tests.support.index_material import repository
from tests.support.plain_steps import student_settings
from training.cycle.probing import open_model, probe
from training.windows.texts import CodeSource


def test_scores_of_a_server_are_not_those_of_the_next_one(tmp_path: Path) -> None:
    """Both serve under one name at one address; the second gives the answer that the first does not."""
    functions = "".join(
        f"def step_{n}(value):\n    found_in_{n} = value + {n * 17} - {n}\n    return found_in_{n}\n\n\n"
        for n in range(80)
    )
    git = repository(tmp_path / "made", {"made/steps.py": functions})
    source = CodeSource("made", git, git.resolve("HEAD"))
    asked = ProbeSettings(window=600, depths=2, samples=1, forms=(Form.CODE,))
    said = {"answer": "nothing"}
    with ScriptedServer(lambda request: Say(said["answer"])) as server:
        settings = student_settings(tmp_path / "data", server.url)

        def scores() -> list[float]:
            result = probe(open_model(settings, "here"), asked, [source], tmp_path / "kept", lambda name: None)
            return [each.score for each in result.scores]

        assert scores() == [0.0, 0.0]
        told = [message for request in server.requests for message in request.get("messages", ())]
        key = told[-1]["content"].split("# Question")[1].split("found_in_")[1].split()[0]
        said["answer"] = f"step_{key}"
        assert scores() == [1.0, 1.0]
    assert not (tmp_path / "kept").exists()
