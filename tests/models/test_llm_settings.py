"""Settings of models: what is refused, in one line, and that no key is ever shown."""

from pathlib import Path

import pytest

from host.settings import load_settings, settings_with_sources
from models.errors import SettingsError
from models.judging import AnswerForm, QuestionForm
from models.llm_settings import EMBEDDED, ModelSettings, Price
from models.protocols import Stage

LOCAL = '[models.endpoints.local]\nurl = "http://127.0.0.1:8000/v1/"\nmodel = "m"\n'


def loaded(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModelSettings:
    (tmp_path / "cra.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return load_settings().models


def test_nothing_configured_is_the_embedded_model() -> None:
    models = ModelSettings()
    assert (models.roles.reasoning, models.roles.coding, models.roles.generalist) == (EMBEDDED, EMBEDDED, None)
    assert models.endpoint(EMBEDDED).window == 8192


def test_questions_have_the_form_of_the_students_endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = LOCAL + 'questions = { answers = "paths", files = 3 }\n[models.teachers]\nreasoning = "local"\n'
    assert loaded(text, monkeypatch, tmp_path).question_form == ModelSettings().endpoint(EMBEDDED).questions
    monkeypatch.setenv("CRA_MODELS__ROLES__REASONING", "local")
    form = loaded(text, monkeypatch, tmp_path).question_form
    assert (form.answers, form.files, form.symbols) == (AnswerForm.PATHS, 3, QuestionForm().symbols)


def test_what_is_set_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = LOCAL + '[models.roles]\nreasoning = "local"\n[models.overrides]\nscope = "scope-v1"\n'
    monkeypatch.setenv("CRA_MODELS__ENDPOINTS__LOCAL__WINDOW", "4096")
    models = loaded(text, monkeypatch, tmp_path)
    assert models.endpoint("local").url == "http://127.0.0.1:8000/v1"
    assert models.endpoint("local").window == 4096
    assert models.overrides == {Stage.SCOPE: "scope-v1"}


def test_each_value_of_an_endpoint_is_shown_with_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRA_MODELS__ENDPOINTS__LOCAL__WINDOW", "4096")
    loaded(LOCAL, monkeypatch, tmp_path)
    shown = {name: (value, source) for name, value, source in settings_with_sources(load_settings())}
    assert shown["models.endpoints.local.window"] == (4096, "CRA_MODELS__ENDPOINTS__LOCAL__WINDOW")
    assert shown["models.endpoints.local.model"] == ("m", str(tmp_path / "cra.toml"))
    assert shown["models.endpoints.local.stall"][1] == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOCAL + '[models.roles]\ncoding = "nope"\n', "names the endpoint 'nope'.*there are: embedded, local"),
        (LOCAL + '[models.teachers]\ncheck = "nope"\n', "models.teachers.check names"),
        (LOCAL + "windw = 5\n", "unknown setting models.endpoints.local.windw"),
        ('[models.rolls]\na = "b"\n', "unknown setting models.rolls"),
        ('[models.overrides]\nscpe = "x"\n', "models.overrides.scpe"),
        ('[models.endpoints.local]\nmodel = "m"\n', r"models.endpoints.local.url: Field required"),
        ('[models.endpoints.local]\nurl = "local:8000"\nmodel = "m"\n', "http://"),
        ('[models.endpoints.Local]\nurl = "http://h/v1"\nmodel = "m"\n', "models.endpoints.Local"),
        ('[models.endpoints.embedded]\nurl = "http://h/v1"\nmodel = "m"\n', "another name"),
        ('[models.endpoints.relevance]\nurl = "http://h/v1"\nmodel = "m"\n', "models.endpoints.relevance"),
        ('[models.overrides]\ncode = "relevance"\n', "answers only precision and scope"),
        (LOCAL + "window = 0\n", "window"),
        (LOCAL + 'json_schema = "perhaps"\n', "json_schema"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(text: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        loaded(text, monkeypatch, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'api_key_env = "sk-proj-abcdefgh12345678"',
        'api_key_env = "AKIAIOSFODNN7EXAMPLE"',
        'api_key_env = "gsk_abcdefgh12345678"',
        'api_key_env = "0123456789ABCDEF0123456789ABCDEF0123456789"',
        'api_key_env = "ABCDEF0123456789ABCDEF0123456789"',
        'api_key = "sk-proj-abcdefgh12345678"',
    ],
)
def test_a_key_in_the_settings_is_refused_and_not_shown(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(LOCAL + line + "\n", monkeypatch, tmp_path)
    assert line.split('"')[1] not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_password_in_a_url_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="without user, password") as caught:
        loaded('[models.endpoints.local]\nurl = "http://me:hunter2@h/v1"\nmodel = "m"\n', monkeypatch, tmp_path)
    assert "hunter2" not in str(caught.value)


def test_prices() -> None:
    assert Price(input=1.0, output=2.0).of(1_000_000, 500_000, 1_000_000) == pytest.approx(3.0)
    assert Price(input=1.0, cached_input=0.0, output=2.0).of(1_000_000, 500_000, 0) == pytest.approx(0.5)


def test_what_is_not_said_of_the_embedded_model_stays_built_in() -> None:
    models = ModelSettings.model_validate({"endpoints": {"embedded": {"base": "smollm2"}}})
    assert models.endpoint("embedded") == ModelSettings().endpoint("embedded").model_copy(update={"base": "smollm2"})
    with pytest.raises(ValueError, match="the model inside the process"):
        ModelSettings.model_validate({"endpoints": {"embedded": {"url": "http://127.0.0.1:1/v1", "model": "m"}}})
