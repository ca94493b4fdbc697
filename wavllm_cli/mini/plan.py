"""The steps of `wavllm reproduce mini` as data: stages, ablations, controls; what each is asked, how it is scored."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavllm_cli.data.manifest import iter_manifest
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import exam
from wavllm_cli.mini.request import LANGUAGE_RECIPE, RECIPE, SOURCES, Request
from wavllm_cli.mini.steps import Call, Command, Step
from wavllm_cli.recipe import Recipe, find, load

GROUPS = ("data", "language", "listener", "stage1", "stage2", "deaf", "answers", "scores", "report")
MODEL = ("config.json", "model.safetensors")
RIGHT, RIGHT_FILE = "right answers", "right.jsonl"  # scored beside the systems: rules may be wrong about right answers


@dataclass(frozen=True)
class System:
    """A checkpoint that is asked and scored.

    Attributes:
        name: of its files.
        title: how reports call it.
        folder: of the checkpoint.
        exam: what it is asked.
        seed: of its stage 2.
    """

    name: str
    title: str
    folder: Path
    exam: str = exam.EVERYTHING
    seed: int | None = None


def systems(request: Request) -> list[System]:
    """Those of the plan, the one after stage 1 first, then the one that the headline is about."""
    out, (first, *others) = request.out, request.seeds
    found = [
        System("stage1", "stage 1", out / "stage1"),
        System(f"prompt-{first}", f"stage 2, seed {first}", _stage2(out, "prompt", first), seed=first),
    ]
    for kind, title, seeds in (
        ("prompt", "stage 2", others),
        ("plain", "stage 2 without prompt adapter", request.seeds),
    ):
        found += [
            System(f"{kind}-{seed}", f"{title}, seed {seed}", _stage2(out, kind, seed), "instructions", seed)
            for seed in seeds
        ]
    return [*found, System("deaf", "stage 2, acoustic encoder deaf", out / "deaf" / "stage2", "voices")]


def _stage2(out: Path, kind: str, seed: int) -> Path:
    return out / f"{kind}-{seed}" / "stage2"


# --- data and backbones ---


def data_step(request: Request) -> Step | None:
    """How the manifests are made; None where they are there."""
    if request.brings_data:
        return None
    given: list[tuple[str, object]] = [("--real", folder) for folder in request.real]
    given += [(option, path) for option, path in (("--fsdd", request.fsdd), ("--sentences", request.sentences)) if path]
    if request.size.scale != 1:
        given.append(("--scale", f"{request.size.scale:g}"))
    arguments = ("prep", "mini", "--out", str(request.data), *(str(word) for pair in given for word in pair))
    reads = [path for folder in request.real for path in sorted(folder.rglob("*.jsonl"))]
    reads += [path for path in (request.fsdd, request.sentences) if path and path.is_file()]
    return Step("data", "data", Command(arguments, may_skip=True), tuple(reads), (request.data / SOURCES,))


def later_steps(request: Request, only: Collection[str] = ()) -> list[Step]:
    """All that follows from the manifests that there are.

    Args:
        only: groups of steps that will be done; none: all. What was not trained and will not be is asked nothing.

    Raises:
        UsageError: there are no manifests.
    """
    if not request.tests.manifests:
        raise UsageError(f"{request.data} holds no manifests yet: step data makes them, so leave out --only.")
    trainings = list(_trainings(request))
    coming = {path for step in trainings if not only or step.group in only for path in step.writes}
    asked = [s for s in systems(request) if all(path in coming or path.is_file() for path in _files(s.folder))]
    return [*_backbones(request), *trainings, *_answers(request, asked), *_scores(request, asked)]


def _backbones(request: Request) -> Iterator[Step]:
    data, language = request.data, request.language
    if request.language_model is None:
        changes = _set((f"data={data}", *request.size.language))
        train = ("train", "--stage", "1", "--recipe", LANGUAGE_RECIPE, *changes, "--output", str(language))
        stage, llm = language / "stage1", language / "llm"
        text = (find(LANGUAGE_RECIPE), *(data / name for name in load(LANGUAGE_RECIPE).stages[0].manifests))
        yield Step("language", "language", Command(train), text, _files(stage))
        export = {"source": str(stage), "output": llm}
        yield Step("llm", "language", Call("wavllm_cli.mini.backbones.export_llm", export), _files(stage), _files(llm))
    if request.acoustic_encoder is None:
        heard = tuple(filter(_is_heard, sorted([*data.glob("train-*.jsonl"), *data.glob("dev-*.jsonl")])))
        listen = {"data": data, "out": request.listener, "steps": request.size.listener}
        work = Call("wavllm_cli.mini.listener.train_listener", listen)
        yield Step("listener", "listener", work, heard, _files(request.listener))


def _is_heard(manifest: Path) -> bool:
    """Whether it is about clips: it is if its first row is."""
    return next(iter_manifest(manifest)).audio is not None


# --- stages ---


def _trainings(request: Request) -> Iterator[Step]:
    out, listener, recipe = request.out, request.listener, request.recipe()
    present = tuple(_present(recipe))
    mixtures = [stage.manifests for stage in load(RECIPE, [*request.keys(listener), *present]).stages]

    def training(
        name: str,
        group: str,
        stage: int,
        changes: Sequence[str],
        folder: Path,
        encoder: Path,
        start: Path | None = None,
    ) -> Step:
        keys = [*request.keys(encoder), *present, *changes]
        begin = ("--start", str(start)) if start else ()
        arguments = ("train", "--stage", str(stage), "--recipe", RECIPE, *_set(keys), *begin, "--output", str(folder))
        manifests = [recipe.manifest(manifest) for manifest in mixtures[stage - 1]]
        models = [encoder, *([start] if start else []), *([] if request.language_model else [request.language / "llm"])]
        reads = (find(RECIPE), *manifests, *(file for model in models for file in _files(model)))
        return Step(name, group, Command(arguments), reads, _files(folder / f"stage{stage}"))

    yield training("stage1", "stage1", 1, (), out, listener)
    for seed in request.seeds:
        for kind, changes in (("prompt", ()), ("plain", tuple(_without_prompt_adapter(recipe)))):
            name, folder = f"stage2-{kind}-{seed}", out / f"{kind}-{seed}"
            yield training(name, "stage2", 2, (*changes, f"seed={seed}"), folder, listener, out / "stage1")
    folder, deaf, first = out / "deaf", out / "deaf" / "listener", f"seed={request.seeds[0]}"
    making = Call("wavllm_cli.mini.backbones.make_deaf", {"listener": listener, "output": deaf})
    yield Step("deaf-listener", "deaf", making, _files(listener), _files(deaf))
    yield training("deaf-stage1", "deaf", 1, (), folder, deaf)
    yield training("deaf-stage2", "deaf", 2, (first,), folder, deaf, folder / "stage1")


def _without_prompt_adapter(recipe: Recipe) -> Iterator[str]:
    """Changes of stage 2 that leave the prompt adapter out, and nothing else."""
    stage = recipe.stages[1]
    others = [group for group in stage.trainable if group != "prompt_adapter"]
    rates = {group: rate for group, rate in stage.optimizer.group_rates.items() if group != "prompt_adapter"}
    yield "stages.1.prompt_adapter=null"
    yield f"stages.1.trainable={json.dumps(others)}"
    yield f"stages.1.optimizer.group_rates={json.dumps(rates)}"


def _present(recipe: Recipe) -> Iterator[str]:
    """Changes that leave out of the mixtures what nobody has brought: manifests of real recordings."""
    for number, stage in enumerate(recipe.stages):
        mixtures = {f"curriculum.{i}.mixture": phase.mixture for i, phase in enumerate(stage.curriculum)}
        for key, mixture in (mixtures | {"mixture": stage.mixture}).items():
            there = [source for source in mixture if recipe.manifest(source.manifest).is_file()]
            if there and len(there) < len(mixture):
                yield f"stages.{number}.{key}={json.dumps([source.model_dump() for source in there])}"


def _set(changes: Sequence[str]) -> list[str]:
    return [argument for change in changes for argument in ("--set", change)]


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in MODEL)


# --- answers and scores ---


def _answers(request: Request, asked: Sequence[System]) -> Iterator[Step]:
    questions = request.out / "exam"
    asking = {"tests": request.tests, "folder": questions, "seed": request.seeds[0]}
    tests = tuple(request.tests.manifests.values())
    written = tuple(questions / f"{name}.jsonl" for name in exam.EXAMS)
    yield Step("exam", "answers", Call("wavllm_cli.mini.exam.set_exam", asking), tests, written)
    yield _sorting(request, "right", None, exam.EVERYTHING, RIGHT_FILE, RIGHT)
    for system in asked:
        exam_file, answers = questions / f"{system.exam}.jsonl", request.out / "answers" / f"{system.name}.jsonl"
        arguments = ("infer", str(exam_file), "--model", str(system.folder), "--output", str(answers))
        infer = Command(arguments, may_skip=True)
        yield Step(f"ask-{system.name}", "answers", infer, (exam_file, *_files(system.folder)), (answers,))
        yield _sorting(request, system.name, answers, system.exam, answers.name, system.title)


def _sorting(request: Request, name: str, answers: Path | None, asked: str, file: str, system: str) -> Step:
    questions, folder = request.out / "exam" / f"{asked}.jsonl", request.out / "answers"
    given = {"answers": answers, "questions": questions, "folder": folder, "file": file, "system": system}
    reads = (questions, answers) if answers else (questions,)
    by_test = tuple(folder / test / file for test in request.tests.names(asked))
    return Step(f"sort-{name}", "answers", Call("wavllm_cli.mini.exam.sort_answers", given), reads, by_test)


def _scores(request: Request, systems: Sequence[System]) -> Iterator[Step]:
    for test in request.tests.names(exam.EVERYTHING):
        asked = [system for system in systems if test in request.tests.names(system.exam)]
        if not asked:
            continue
        files = [*(f"{system.name}.jsonl" for system in asked), RIGHT_FILE]
        answers = tuple(request.out / "answers" / test / file for file in files)
        scores = request.out / "scores" / f"{test}.json"
        scoring = {"answers": answers, "metrics": request.tests.metrics(test), "output": scores}
        work = Call("wavllm_cli.mini.exam.score_answers", scoring)
        yield Step(f"score-{test}", "scores", work, answers, (scores,))
