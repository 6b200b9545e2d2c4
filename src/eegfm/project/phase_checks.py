"""Check the blocks of the phases against each other, the mixture and the corpora."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eegfm.errors import ConfigError
from eegfm.mixture.config import MixtureParams
from eegfm.mixture.shares import batch_counts
from eegfm.project.checked import checked, known_names
from eegfm.project.phase_blocks import PHASES, checked_tokenizer, refuse_other_than_start
from eegfm.splits.config import Roles
from eegfm.training.config import PretrainParams, TokenizerParams
from eegfm.training.pairings import by_corpus, multiples
from eegfm.training.phases import TOKENIZER, Phase


def check_phases(parameters: Mapping[str, Any], phases: Sequence[Phase], roles: Roles, corpora: Sequence[str]) -> None:
    """Refuse blocks of phases that do not fit the phase before them, the mixture or the corpora.

    Args:
        parameters: All parameters.
        phases: The phases in their order.
        roles: What the corpora are for.
        corpora: Names of all corpora that have parameters.

    Raises:
        ConfigError: A block is invalid or does not fit.
    """
    params = {phase.name: checked(PretrainParams, parameters[phase.name], phase.name) for phase in phases}
    tokenizer = checked(TokenizerParams, parameters.get(TOKENIZER, {}), TOKENIZER)
    refuse_other_than_start([*phases, checked_tokenizer(parameters)], {**params, TOKENIZER: tokenizer})
    if any(phase.needs_tokenizer for phase in phases):
        params[TOKENIZER] = tokenizer
    mix = checked(MixtureParams, parameters.get("mix", {}), "mix")
    names = [phase.name for phase in phases]
    for key, one in params.items():
        with _named(key):
            one.schedule.check_corpora(roles.pretrain)
    for key, one in params.items():
        _check_heads(key, one, mix)
        with _named(key, _without(key, names)):
            _check_pairs(parameters, one, mix, roles, corpora)
        with _named(key):
            _check_batch(one, mix, roles)


@contextmanager
def _named(key: str, advice: str = "") -> Iterator[None]:
    """Say of which block an error is, and what to do."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"parameter {key}: {error}{advice}") from error


def _without(key: str, names: Sequence[str]) -> str:
    """Say how to do without a later phase: an environment with corpora of its own may have inherited it."""
    earlier = names[: names.index(key)] if key in names else []
    return f"; {PHASES}: [{', '.join(earlier)}] trains without {key}" if earlier else ""


def _check_batch(params: PretrainParams, mix: MixtureParams, roles: Roles) -> None:
    """Refuse a batch that the corpora cannot share."""
    if not roles.pretrain or not {*roles.pretrain} <= {*mix.given_weights} or mix.by == "hours":
        return  # Shares by size or by hours follow from the windows; training checks them.
    total = sum(mix.given_weights[name] for name in roles.pretrain)
    weights = {name: mix.given_weights[name] / total for name in roles.pretrain}
    n_ranks = params.num_nodes * (1 if params.devices == "auto" else params.devices)  # the least
    of_pairs = None if params.chosen_pairs is None else by_corpus(params.chosen_pairs, weights)
    of_batch = None if of_pairs is None else multiples(of_pairs, n_ranks)
    batch_counts(weights, params.batch_size, n_ranks, params.accumulate, multiples=of_batch)


def _check_heads(key: str, params: PretrainParams, mix: MixtureParams) -> None:
    """Refuse auxiliary heads for labels that the mixture lacks."""
    for name in params.objective.labels:
        if name not in mix.labels:
            raise ConfigError(
                f"parameter {key}.objective.auxiliary.heads names the label {name!r}, which mix.labels lacks; "
                f"{known_names(name, mix.labels)}; add the column to mix.labels, or leave the head out"
            )


def _check_pairs(
    parameters: Mapping[str, Any], params: PretrainParams, mix: MixtureParams, roles: Roles, corpora: Sequence[str]
) -> None:
    """Refuse pairs of a corpus that does not exist, and pairs of a cut that the mixture or a corpus lacks."""
    pairs = params.chosen_pairs
    if pairs is None:
        return
    strangers = sorted({*pairs} - {*corpora}) if isinstance(pairs, Mapping) else []
    if strangers:
        raise ConfigError(f"pairs.{strangers[0]} names no corpus; {known_names(strangers[0], sorted(corpora))}")
    for corpus, pairings in by_corpus(pairs, roles.pretrain).items():
        cuts = parameters[corpus]["window"]["cuts"]
        for pairing in pairings:
            cut = pairing.cut or mix.cut
            if cut not in cuts:
                advice = f"name a cut of its own in pairs.{corpus}, or choose other pairs there"
                if only := params.objective.only_pairings:
                    advice = f"take {corpus} out of corpora.pretrain: objective {params.objective.name} compares pairs "
                    advice += f"of {' or '.join(only)} alone"
                raise ConfigError(
                    f"pairs {pairing.name} of corpus {corpus} are of cut {cut!r}, which {corpus}.window.cuts lacks; "
                    f"{known_names(cut, sorted(cuts))}; {advice}"
                )
            if mix.cuts is not None and cut not in (mix.cut, *mix.cuts):
                raise ConfigError(
                    f"pairs {pairing.name} are of cut {cut!r}, which the mixture lacks: it holds "
                    f"{', '.join((mix.cut, *mix.cuts))}; add {cut} to mix.cuts, leave mix.cuts out, or name another "
                    "cut in pairs.cut"
                )
