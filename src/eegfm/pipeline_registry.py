"""Register the pipelines of the project.

The corpora and the phases of training are configuration (``params:corpora``, ``params:phases``). ``ProjectContext``
hands them over before Kedro asks for the pipelines. Without a context (``kedro registry list``) the embedded default is
used.
"""

from kedro.framework.project import pipelines as kedro_pipelines
from kedro.pipeline import Pipeline

from eegfm.pipelines import export, finetune, import_weights, ingest, mix, pretrain, probe, report, window
from eegfm.splits.config import Roles
from eegfm.training.config import TokenizerParams
from eegfm.training.phases import (
    DEFAULT_PHASES,
    EXPORT_ENDING,
    FINETUNE,
    TOKENIZER_PHASE,
    Phase,
    Start,
    export_name,
    probe_name,
)

DEFAULT_ROLES = Roles(pretrain=["tuh", "hbn"], probe=["hbn"])
_Chosen = tuple[Roles, tuple[Phase, ...], Phase, Start, bool]
_chosen: _Chosen = (DEFAULT_ROLES, DEFAULT_PHASES, TOKENIZER_PHASE, "previous", True)


def use_roles(
    roles: Roles,
    phases: tuple[Phase, ...] = DEFAULT_PHASES,
    tokenizer: Phase = TOKENIZER_PHASE,
    finetuned: Start = "previous",
    *,
    has_answers: bool = True,
) -> None:
    """Build the pipelines for these corpora, phases, tokenizer and start of finetuning from now on.

    ``has_answers`` tells whether a finetuning has tasks: it has none where a probe asks for retrievals alone.
    """
    global _chosen  # noqa: PLW0603  Kedro calls register_pipelines() without arguments
    if (roles, phases, tokenizer, finetuned, has_answers) != _chosen:
        _chosen = roles, phases, tokenizer, finetuned, has_answers
        kedro_pipelines.configure(__name__)  # drops the pipelines that were loaded before


def register_pipelines() -> dict[str, Pipeline]:
    """Every pipeline by name. Pipelines up to the probe start at raw files and skip data that exists."""
    roles, phases, tokenizer, finetuned, has_answers = _chosen
    pretrained, corpora = list(roles.pretrain), roles.corpora
    # Without a corpus to train on, the only encoder is the imported one, which stands in for that of the first phase.
    known = phases if pretrained else phases[:1]
    ingested = sum((ingest.create_pipeline(c) for c in corpora), Pipeline([]))
    windowed = ingested + sum((window.create_pipeline(c) for c in corpora), Pipeline([]))
    mixed = windowed + mix.create_pipeline(corpora, pretrained)
    training = {
        phase.name: pretrain.create_pipeline(pretrained, phase.name, phase.start_entry, tokenizer=phase.tokenizer_entry)
        for phase in phases
    }
    of_tokenizer = pretrain.create_pipeline(pretrained, tokenizer.name, tokenizer.start_entry, params=TokenizerParams)
    probes = {
        probe_name(phase, known): probe.create_pipeline(roles.probe, phase.name, probe_name(phase, known))
        for phase in known
        if roles.probe
    }
    probed = {phase.name: probe_name(phase, known) for phase in known if roles.probe}
    start = f"{FINETUNE}.start" if finetuned == "file" else known[-1].encoder
    tuned = finetune.create_pipeline(roles.probe, start) if roles.probe else Pipeline([])
    # Persons of a corpus that is only probed are all tested: a cross-validation by training is for whoever asks for it,
    # and nobody is surprised by it after hours of pretraining.
    always_tuned = has_answers and bool(roles.probe) and {*roles.probe} <= {*pretrained}
    reporting = report.create_pipeline(
        corpora,
        probes=probed,
        phases=[p.name for p in known],
        trained=bool(pretrained),
        finetune=FINETUNE if always_tuned else "",
    )
    registry = {
        "ingest": ingested,
        "window": windowed,
        "mix": mixed,
        **{
            name: mixed + one if pretrained else one for name, one in {tokenizer.name: of_tokenizer, **training}.items()
        },
        "import_weights": import_weights.create_pipeline(phases[0].name),
        **{export_name(p, known): export.create_pipeline(p.name, export_name(p, known)) for p in reversed(known)},
        "report": reporting,
        # An encoder that comes from elsewhere is there, or an error names the command that imports it.
        "__default__": mixed
        + sum((one for one in training.values() if pretrained), Pipeline([]))
        + sum(probes.values(), Pipeline([]))
        + (tuned if always_tuned else Pipeline([]))
        + reporting,
    }
    # With all tables of a report, so that a report can follow, but without the mixture, which only training reads.
    before_probe = windowed + mix.create_pipeline(corpora, [])
    finetuning = {
        FINETUNE: before_probe + tuned,
        f"{FINETUNE}{EXPORT_ENDING}": export.create_pipeline(FINETUNE, f"{FINETUNE}{EXPORT_ENDING}"),
    }
    return registry | {name: before_probe + one for name, one in probes.items()} | (finetuning if roles.probe else {})
