"""What is shown of an adapter's class bias: its offsets, how they were fitted, and where they are applied."""

from host.settings import load_settings
from models.class_bias import ClassBias
from models.errors import ProviderError, SettingsError
from models.judging import AnswerForm
from models.llm_settings import EMBEDDED
from store.learning.adapters import AdapterVersion


def bias_rows(version: AdapterVersion) -> list[tuple[str, str]]:
    """Rows of a table about an adapter; none for one that has no classes, or was trained without a bias."""
    bias = version.class_bias
    if bias is None:
        return []
    if not bias.active:
        return [("class bias", f"none: {bias.note}")]
    offsets = ", ".join(f"{label} {value:+.2f}" for label, value in sorted(bias.offsets.items()))
    return [("class bias", offsets), ("its gain", _gain(bias)), ("applied", where_applied(version))]


def _gain(bias: ClassBias) -> str:
    found = "".join(
        f"; fitted for a recall of {label} of {least:g}" for label, least in (bias.least_recall or {}).items()
    )
    return (
        f"macro F1 of {bias.decisions} validation decisions: {bias.macro_f1_without:.3f} without, "
        f"{bias.macro_f1_with:.3f} with, {bias.macro_f1_across:.3f} with offsets fitted to other rows{found}"
    )


def where_applied(version: AdapterVersion) -> str:
    """Whether answers of the student's endpoint have the class bias of an adapter, or why not.

    A server other than the embedded model is asked what it is.
    """
    from llm.class_bias import unapplied
    from llm.service import open_service

    models = load_settings().models
    name = getattr(models.roles, version.target.role)
    endpoint = models.endpoint(name)
    if endpoint.base not in (version.base, version.base_name):
        return f"not at endpoint {name!r}: it is not set to serve base {version.base_name}"
    if models.question_form.answers is not AnswerForm.LETTERS:
        return f"not at endpoint {name!r}: its answers name classes in full (questions.answers)"
    try:
        dialect = "llama.cpp" if endpoint.url == EMBEDDED else open_service(name, endpoint).facts().dialect
    except (ProviderError, SettingsError) as error:
        return f"unknown at endpoint {name!r}, which cannot be asked what server it is: {error}"
    why = unapplied(endpoint, dialect)
    return f"not at endpoint {name!r}: {why}" if why else f"at endpoint {name!r}, as logit_bias of each question"
