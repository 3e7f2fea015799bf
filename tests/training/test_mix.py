"""A mix: sources with caps, shares and an order, told apart to the last example."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.chat import Message
from models.errors import UsageError
from models.mix import MixSettings
from models.protocols import Stage
from models.training import Pair, PairSource, Preference, TrainingTarget
from tests.support.curation_material import lines, trained_on
from tests.support.pairs_material import Repository, World
from tests.support.recipe_material import a_pair
from training.data.curation import Curated, curate
from training.data.curation.blending import OVER_CAP, TOO_LONG, TWICE, blend, read_mix
from training.data.curation.curate import COPY
from training.data.curation.mixing import EARLIER
from training.data.sources import StoredExamples
from training.data.sources.collections import write_collection

LINTSEQ, D3, EVOL, EVOL_80K = PairSource.LINTSEQ, PairSource.D3, PairSource.EVOL_INSTRUCT, PairSource.EVOL_INSTRUCT_80K


def collection(data: Path, source: PairSource, pairs: Sequence[Pair], **made_from: int) -> str:
    return write_collection(data, source, made_from, [[pair] for pair in pairs])[0].name


def pairs(source: PairSource, count: int, **how: int) -> list[Pair]:
    return [a_pair(source, number, **how) for number in range(count)]


def mixed(world: World, mix: MixSettings) -> Curated:
    return curate(world.raw, world.curated, world.request(TrainingTarget.CODE, mix=mix, max_domain_share=1.0))


def a_mix(**sources: dict[str, object]) -> dict[str, object]:
    return {name.replace("_", "-"): how for name, how in sources.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_shares_caps_and_weights_hold_and_every_example_is_accounted_for(world: World) -> None:
    data = world.folder / "data"
    collection(data, LINTSEQ, pairs(LINTSEQ, 30))
    collection(data, D3, pairs(D3, 40))
    collection(data, EVOL, pairs(EVOL, 20))
    sources = a_mix(lintseq={}, d3={"share": 0.25, "weight": 0.5}, evol_instruct={"cap": 5})
    made = mixed(world, MixSettings.model_validate({"sources": sources}))
    rows = {row.source: row for row in made.card.mixed}
    assert list(rows) == [LINTSEQ, D3, EVOL]
    assert {source: row.offered for source, row in rows.items()} == {LINTSEQ: 30, D3: 40, EVOL: 20}
    for row in rows.values():
        assert row.kept + sum(row.dropped.values()) == row.offered
    assert rows[EVOL].kept == 5
    assert rows[EVOL].dropped == {OVER_CAP: 15}
    assert rows[D3].kept == 11  # a quarter of 46
    assert rows[LINTSEQ].kept == 30
    written = lines(made)
    assert Counter(line["source"] for line in written) == {"lintseq": 30, "d3": 11, "evol-instruct": 5}
    assert {line["weight"] for line in written if line["source"] == "d3"} == {0.5}
    assert sum(row.tokens for row in rows.values()) == made.card.tokens["total"]


def test_the_same_mix_gives_the_same_bytes_and_its_cap_the_same_examples_in_any_order(world: World) -> None:
    data = world.folder / "data"
    name = collection(data, LINTSEQ, pairs(LINTSEQ, 30))
    turned = collection(data, LINTSEQ, pairs(LINTSEQ, 30)[::-1], turned=1)
    texts = []
    for each in (name, turned, name):
        mix = MixSettings.model_validate({"sources": {LINTSEQ: {"cap": 7, "collections": (each,)}}})
        made = mixed(world, mix)
        assert made.dataset_dir is not None
        texts.append((made.dataset_dir / "sft.jsonl").read_bytes())
    assert texts[0] == texts[1] == texts[2]


def test_a_cap_is_of_the_examples_that_fit(world: World) -> None:
    """Half of the examples are longer than the window, among them some of the smallest ids."""
    long, short = (pairs(EVOL, 10, lines=lines) for lines in (2500, 2))
    smallest = sorted([*long, *short], key=lambda pair: int(pair.id, 16))[:8]
    assert any(pair in long for pair in smallest)
    collection(world.folder / "data", EVOL, [*long, *short])
    request = world.request(
        TrainingTarget.CODE,
        mix=MixSettings.model_validate({"sources": {EVOL: {"cap": 8}}}),
        max_domain_share=1.0,
    )
    made = curate(world.raw, world.curated, request)
    [row] = made.card.mixed
    assert row.kept == 8
    assert row.dropped[OVER_CAP] + row.dropped.get(TOO_LONG, 0) == 12
    assert row.dropped[TOO_LONG] > 0
    assert made.card.tokens["longest"] < 2000


def test_what_two_sources_have_is_trained_on_once(world: World) -> None:
    data = world.folder / "data"
    same = [pair.model_copy(update={"source": EVOL_80K}) for pair in pairs(EVOL, 6)]
    collection(data, EVOL, pairs(EVOL, 6))
    collection(data, EVOL_80K, [*same, *pairs(EVOL_80K, 3, lines=4)])
    made = mixed(world, MixSettings.model_validate({"sources": {EVOL: {}, EVOL_80K: {}}}))
    assert [(row.source, row.kept) for row in made.card.mixed] == [(EVOL, 6), (EVOL_80K, 3)]
    assert made.card.mixed[1].dropped == {TWICE: 6}
    assert len({line["id"] for line in lines(made)}) == 9


@pytest.mark.parametrize(("order", "sign"), [("easy-to-hard", 1), ("hard-to-easy", -1)])
def test_an_order_by_size_is_that_of_the_file(world: World, order: str, sign: int) -> None:
    long = [a_pair(LINTSEQ, number, lines=1 + number * 5 % 17 * 4) for number in range(12)]
    collection(world.folder / "data", LINTSEQ, long)
    made = mixed(world, MixSettings.model_validate({"sources": {LINTSEQ: {}}, "order": order}))
    sizes = [sign * len(line["completion"][0]["content"].splitlines()) for line in lines(made)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 6


def test_copies_of_a_reserved_repository_in_a_collection_are_refused_under_any_name(
    world: World, tmp_path: Path
) -> None:
    from evals.sets import reserve
    from harness.packages.contents import sketch_of

    code = "".join(f"def function_{n}(left, right):\n    return left * {n} + right ** {n + 3}\n" for n in range(400))
    world.raw.register_contents([("held", sketch_of([code], ("a" * 40,)))])
    reserve(world.curated, world.raw.engine, ["held"], "test")
    rows = [[pair] for pair in pairs(LINTSEQ, 10)]
    names = {row[0].provenance.repository for row in rows}
    copied = sorted(names)[0]
    contents = {name: sketch_of([], (name,)) for name in names} | {copied: sketch_of([code], ("b" * 40,))}
    write_collection(world.folder / "data", LINTSEQ, {}, rows, contents=contents)
    made = mixed(world, MixSettings.model_validate({"sources": {LINTSEQ: {}}}))
    [row] = made.card.mixed
    assert (row.kept, row.dropped) == (8, {COPY: 2})
    assert copied not in made.card.repositories


def test_a_reserved_repository_is_recognised_by_the_name_of_its_origin_and_other_spellings(world: World) -> None:
    from evals.sets import reserve

    world.add(Repository("python-dates", source="https://example.org/dates-people/Dates.git"))
    reserve(world.curated, world.raw.engine, ["python-dates", "zoo.interface"], "test")
    rows = pairs(LINTSEQ, 10)
    names = sorted({row.provenance.repository for row in rows})
    renamed = {names[0]: "dates", names[1]: "zoo-interface"}
    collection(
        world.folder / "data",
        LINTSEQ,
        [
            row.model_copy(
                update={
                    "provenance": row.provenance.model_copy(
                        update={"repository": renamed.get(row.provenance.repository, row.provenance.repository)}
                    )
                }
            )
            for row in rows
        ],
    )
    made = mixed(world, MixSettings.model_validate({"sources": {LINTSEQ: {}}}))
    assert made.card.mixed[0].kept == 6
    assert not set(renamed.values()) & set(made.card.repositories)


def test_templates_of_another_version_are_not_trained_on(world: World) -> None:
    old = a_pair(LINTSEQ, 1)
    system = old.messages[0].model_copy(update={"content": "You write code in an older way.\n"})
    collection(
        world.folder / "data",
        LINTSEQ,
        [a_pair(LINTSEQ, 2), old.model_copy(update={"messages": (system, old.messages[1])})],
    )
    made = mixed(world, MixSettings.model_validate({"sources": {LINTSEQ: {}}}))
    [row] = made.card.mixed
    assert (row.offered, row.kept, sum(row.dropped.values())) == (2, 1, 1)


def test_comparisons_for_a_critic_are_mixed_as_well(world: World) -> None:
    provenance = a_pair(LINTSEQ, 1).provenance
    comparisons = [
        Preference(
            stage=Stage.CODE,
            source=PairSource.FAIL_FAST,
            kind="comparison",
            messages=(Message(role="user", content=f"Which change is better, number {number}?"),),
            chosen="A",
            rejected="B",
            chosen_by=provenance,
            rejected_by=provenance,
        )
        for number in range(3)
    ]
    collection(world.folder / "data", LINTSEQ, pairs(LINTSEQ, 6))
    write_collection(world.folder / "data", PairSource.FAIL_FAST, {}, [comparisons])
    made = mixed(world, MixSettings.model_validate({"sources": {LINTSEQ: {}, PairSource.FAIL_FAST: {}}}))
    assert made.card.examples["critic"] == 3
    assert [(row.kept, row.dropped) for row in made.card.mixed] == [(6, {}), (3, {})]


def test_a_source_without_examples_and_ambiguous_collections_are_named(world: World) -> None:
    data = world.folder / "data"
    stored = StoredExamples(TrainingTarget.CODE, frozenset(), [], [])

    def blended(sources: dict[str, object]) -> None:
        blend(stored, MixSettings.model_validate({"sources": sources}), data, lambda item: True)

    with pytest.raises(UsageError, match="lintseq"):
        blended({"lintseq": {}})
    first = collection(data, LINTSEQ, pairs(LINTSEQ, 2))
    collection(data, LINTSEQ, pairs(LINTSEQ, 3))
    with pytest.raises(UsageError, match=first):
        blended({"lintseq": {}})
    for name in ("lintseq-000000000000", "../lintseq-0", first.replace("lintseq", "d3")):
        with pytest.raises(UsageError, match="lintseq has no collection"):
            blended({"lintseq": {"collections": [name]}})
    with pytest.raises(UsageError, match="harness has no example"):
        blended({"harness": {}})
    with pytest.raises(UsageError, match="harness has no collections"):
        blended({"harness": {"collections": [first]}})


def test_shares_are_raised_in_proportion_where_a_source_has_none_of_a_kind(world: World) -> None:
    data = world.folder / "data"
    collection(data, LINTSEQ, pairs(LINTSEQ, 8))
    chosen = a_pair(D3, 1)
    preferences = [
        Preference(
            stage=Stage.CODE,
            source=D3,
            kind="before-after",
            messages=a_pair(D3, number).messages,
            chosen=a_pair(D3, number).answer,
            rejected="### no change\n",
            chosen_by=chosen.provenance,
            rejected_by=chosen.provenance,
        )
        for number in range(5)
    ]
    write_collection(data, D3, {}, [[*pairs(D3, 4), *preferences]])
    mix = MixSettings.model_validate({"sources": {LINTSEQ: {"share": 0.5}, D3: {"share": 0.5}}})
    made = mixed(world, mix)
    assert Counter(line["source"] for line in lines(made)) == {"lintseq": 4, "d3": 4}
    assert made.card.examples["dpo"] == 5  # d3 alone has preferences
    assert [row.kept for row in made.card.mixed] == [4, 9]


def test_the_table_adds_up_when_earlier_rounds_are_replayed(world: World) -> None:
    data = world.folder / "data"
    first = collection(data, LINTSEQ, pairs(LINTSEQ, 12))
    sources: dict[str, object] = {"lintseq": {"collections": (first,)}}
    trained_on(world, mixed(world, MixSettings.model_validate({"sources": sources})))
    collection(data, D3, pairs(D3, 12))
    made = mixed(world, MixSettings.model_validate({"sources": {**sources, "d3": {}}}))
    assert made.card.rounds.replayed == 2
    old, new = made.card.mixed
    assert (new.kept, new.dropped) == (12, {})
    assert (old.kept, old.dropped) == (2, {EARLIER: 10})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sources.lintsec]\n", "lintsec"),
        ("[sources.lintseq]\nshares = 0.5\n", "sources.lintseq.shares"),
        ("[sources.lintseq]\nshare = 0\n", "sources.lintseq.share"),
        ("[sources.lintseq]\nshare = 0.5\n", "0.50"),
        ("order = 'up'\n[sources.lintseq]\n", "order"),
        ("replay = 0.5\n[sources.lintseq]\n", "replay"),
        ("", "sources"),
        ("[sources", "TOML"),
    ],
)
def test_a_mix_that_is_wrong_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mix.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=named) as refused:
        read_mix(path)
    assert "\n" not in str(refused.value)


def test_a_mix_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mix"):
        read_mix(tmp_path / "mix.toml")
    (tmp_path / "mix.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="TOML"):
        read_mix(tmp_path / "mix.toml")
