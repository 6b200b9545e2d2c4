"""Check the blocks of the phases against each other, the mixture and the corpora."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from pydantic import ValidationError

from eegfm.errors import ConfigError
from eegfm.mixture.config import MixtureParams
from eegfm.mixture.shares import batch_counts
from eegfm.project.checked import checked, known_names
from eegfm.project.phase_blocks import PHASES, checked_tokenizer, refuse_other_than_start
from eegfm.splits.config import Roles
from eegfm.training.config import PretrainParams, TokenizerParams
from eegfm.training.pairings import by_corpus, multiples, refuse_few_pairs
from eegfm.training.phases import TOKENIZER, Phase
from eegfm.training.started import OF_THE_START
from eegfm.windows.config import WindowParams


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
    names = [phase.name for phase in phases]
    params = {phase.name: _checked_block(phase, parameters[phase.name], names) for phase in phases}
    tokenizer = checked(TokenizerParams, parameters.get(TOKENIZER, {}), TOKENIZER)
    refuse_other_than_start([*phases, checked_tokenizer(parameters)], {**params, TOKENIZER: tokenizer})
    if any(phase.needs_tokenizer for phase in phases):
        params[TOKENIZER] = tokenizer
    mix = checked(MixtureParams, parameters.get("mix", {}), "mix")
    for key, one in params.items():
        with _named(key):
            one.schedule.check_corpora(roles.pretrain)
    for key, one in params.items():
        _check_heads(key, one, mix)
        with _named(key, _without(key, names)):
            _check_pairs(parameters, one, mix, roles, corpora)
        with _named(key):
            _check_batch(one, mix, roles)
    check_lengths(parameters, phases, params)


def check_lengths(parameters: Mapping[str, Any], phases: Sequence[Phase], params: Mapping[str, PretrainParams]) -> None:
    """Refuse several lengths of windows for an encoder of one length, before the first of its phases is trained.

    Args:
        parameters: All parameters.
        phases: All phases in their order.
        params: By name, the parameters of the phases that are looked at.

    Raises:
        ConfigError: Names phases, cuts, lengths, and what to do.
    """
    for chain in _sharing_an_encoder(phases):
        looked_at = [name for name in chain if name in params]
        tied = [name for name in looked_at if params[name].encoder.traits.one_length]
        if tied:
            drawn = {name: _lengths(parameters, params[name]) for name in looked_at}
            more = _montage_advice(tied[0], params[tied[0]], checked(Roles, parameters["corpora"], "corpora"))
            _refuse_lengths(params[tied[0]].encoder.name, drawn, [phase.name for phase in phases], more)


def _checked_block(phase: Phase, block: Any, names: Sequence[str]) -> PretrainParams:
    """Check the block of a phase. Where it only does not suit what the phase before decides, say how to do without."""
    try:
        return checked(PretrainParams, block, phase.name)
    except ConfigError as error:
        own = {key: value for key, value in block.items() if key not in OF_THE_START}
        with suppress(ValidationError):
            PretrainParams.model_validate(own | {"start": "file"})
            error.args = (f"{error}{_without(phase.name, names)}",)
        raise


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
    counts_of = partial(batch_counts, weights, world_size=n_ranks, n_cuts=params.accumulate, multiples=of_batch)
    counts_of(params.batch_size)
    if of_pairs is not None:
        refuse_few_pairs(params.objective.name, params.objective.least_pairs, params.batch_size, counts_of)


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
                known = known_names(cut, sorted(cuts))
                advice = f"name a cut of its own in pairs.{corpus}, or choose other pairs there"
                if only := params.objective.only_pairings:
                    known = f"known: {', '.join(sorted(cuts))}"  # no guess: another cut gives no such pairs
                    advice = f"take {corpus} out of corpora.pretrain: objective {params.objective.name} compares pairs "
                    advice += f"of {' or '.join(only)} alone"
                raise ConfigError(
                    f"pairs {pairing.name} of corpus {corpus} are of cut {cut!r}, which {corpus}.window.cuts lacks; "
                    f"{known}; {advice}"
                )
            if mix.cuts is not None and cut not in (mix.cut, *mix.cuts):
                raise ConfigError(
                    f"pairs {pairing.name} are of cut {cut!r}, which the mixture lacks: it holds "
                    f"{', '.join((mix.cut, *mix.cuts))}; add {cut} to mix.cuts, leave mix.cuts out, or name another "
                    "cut in pairs.cut"
                )


Lengths = Mapping[float, Sequence[str]]
"""Cuts by the length of their windows in seconds."""


def _sharing_an_encoder(phases: Sequence[Phase]) -> list[list[str]]:
    """Names of the phases, those together that start from one another."""
    chains: list[list[str]] = []
    for phase in phases:
        if phase.start == "previous":
            chains[-1].append(phase.name)
        else:
            chains.append([phase.name])
    return chains


def _lengths(parameters: Mapping[str, Any], params: PretrainParams) -> Lengths:
    """The cuts that a phase draws from. One that a corpus lacks is refused elsewhere."""
    mix = checked(MixtureParams, parameters.get("mix", {}), "mix")
    roles = checked(Roles, parameters["corpora"], "corpora")
    pairs, found = params.chosen_pairs, dict[float, list[str]]()
    of_pairs = {} if pairs is None else by_corpus(pairs, roles.pretrain)
    for corpus in roles.pretrain:
        cuts = checked(WindowParams, parameters[corpus]["window"], f"{corpus}.window").cuts
        drawn = [mix.cut] if pairs is None else [pairing.cut or mix.cut for pairing in of_pairs[corpus]]
        for name in dict.fromkeys(cut for cut in drawn if cut in cuts):
            found.setdefault(cuts[name].length_s, []).append(f"{corpus}.window.cuts.{name}")
    return found


def _montage_advice(key: str, params: PretrainParams, roles: Roles) -> str:
    """Tell of the montages, which are known only after ingestion: else the user meets them as a second error then."""
    if not params.encoder.traits.one_montage or params.adapter.name != "none" or len(roles.pretrain) < 2:
        return ""
    return (
        "; it is tied to the channels of one montage, too: if those of the corpora differ, set "
        f"{key}.adapter: {{name: interpolate, montage: 1020_19}}"
    )


def _refuse_lengths(encoder: str, drawn: Mapping[str, Lengths], names: Sequence[str], more: str) -> None:
    """Refuse the first phase, in their order, whose cuts make several lengths together with those before it.

    ``more`` is further advice.
    """
    said = "; ".join(
        f"{name} draws windows of " + " and ".join(f"{length:g} s ({', '.join(of)})" for length, of in cuts.items())
        for name, cuts in drawn.items()
    )
    lengths: set[float] = set()
    for phase, cuts in drawn.items():
        lengths |= {*cuts}
        if len(lengths) > 1:
            raise ConfigError(
                f"parameter {phase}: encoder {encoder} is tied to one window length, and {said}; give all these "
                f"cuts one length (length_s){more}; or choose encoder patch_transformer{_without(phase, names)}"
            )
