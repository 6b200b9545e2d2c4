"""Keep encoders that a run did not make itself, unless a parameter says that they may be replaced. No torch here."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eegfm.checkpoint import CheckpointHeader, read_header
from eegfm.errors import CheckpointError
from eegfm.provenance import changes
from eegfm.source_code import PACKAGE, module_hashes

PARAMS_FILE = "params.json"
"""File in the folder of a run: its parameters, and what it is named by."""
_N_NAMED = 3
_LENGTHS = ("n_steps", "n_epochs")


def refuse_trained(file: Path, runs: Path, *, overwrite: bool, key: str) -> Callable[[str, dict[str, Any]], None]:
    """Make the function that refuses a training before it starts.

    Args:
        file: File of the stored encoder.
        runs: Folder of the logs of all trainings.
        overwrite: Whether the parameter ``overwrite`` of the phase allows to replace any encoder.
        key: Name of the phase.

    Returns:
        Function of the fingerprint and the identity of the run that starts. It raises a CheckpointError if the stored
        encoder is from another run, was imported, or cannot be read. A run that only takes more steps goes on from the
        one that made the encoder, and may replace it.
    """

    def refuse(fingerprint: str, identity: dict[str, Any]) -> None:
        header = None if overwrite else stored_header(file, key)
        if header is None or (not header.imported and header.fingerprint == fingerprint):
            return
        if header.imported or not is_only_longer(_identity(header, runs), identity):
            raise refusal(file, described(header, key, _changed(header, runs, identity, key)), key)

    return refuse


def refuse_imported(file: Path, new: CheckpointHeader, *, overwrite: bool) -> None:
    """Refuse an import that would replace another encoder.

    Raises:
        CheckpointError: The stored encoder was trained here, was imported from another file or with other parameters,
            or cannot be read.
    """
    header = None if overwrite else stored_header(file, "import")
    if header is not None and (header.imported, header.fingerprint) != (new.imported, new.fingerprint):
        raise refusal(file, described(header, "import", "from another file or with other parameters"), "import")


def stored_header(file: Path, key: str) -> CheckpointHeader | None:
    """Read the header of the stored encoder; None if there is no file.

    Raises:
        CheckpointError: It cannot be read. Somebody else may still be able to read it.
    """
    if not file.exists():
        return None
    try:
        return read_header(file)
    except CheckpointError as error:
        raise refusal(file, f"cannot be read here ({str(error).removeprefix(f'{file}: ')})", key) from error


def stored_run(file: Path) -> str | None:
    """Read which run made the stored encoder; None if there is no file or it cannot be read."""
    try:
        header = stored_header(file, "")
    except CheckpointError:
        return None
    return None if header is None else header.fingerprint


def refusal(file: Path, what: str, key: str) -> CheckpointError:
    """Make the error of a run that would replace an encoder. It names what would be lost, and the two ways on.

    Args:
        file: File of the stored encoder.
        what: Ends the sentence "… holds an encoder that …".
        key: Phase or ``import``, whose ``overwrite`` allows it.
    """
    return CheckpointError(
        f"{file} holds an encoder that {what}; this run would replace it: keep both with --params=model=NAME, or "
        f"replace it with --params={key}.overwrite=true"
    )


def described(header: CheckpointHeader, key: str, changed: str, file_name: str = "") -> str:
    """Say where a stored encoder comes from. The text ends the sentence "… holds an encoder that …".

    Args:
        header: Header of the stored encoder.
        key: Name of a phase or ``import``: what would replace it.
        changed: How the run that made it differs from this one, if it was made by the same step.
        file_name: Name of the file that it was imported from, if it is known.
    """
    if header.imported:
        source = f"{file_name or header.imported.source} (SHA-256 {header.imported.file_sha256[:12]}…)"
        return f"was imported from {source}" + (f" {changed}" if key == "import" else "")
    if key == "import":
        return f"was pretrained here (run {header.fingerprint}, {header.n_steps} steps on {', '.join(header.corpora)})"
    return f"was trained {changed}"


def is_only_longer(made: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a run equals an earlier one, or differs from it only by more steps.

    Args:
        made: What the earlier run was named by; empty if it is not known.
        now: What this run is named by.
    """
    return bool(made) and {**made, "params": _without_less(made["params"], now["params"])} == now


def changed_parameters(made: Mapping[str, Any], now: Mapping[str, Any], key: str) -> str:
    """Name the parameters that differ, for ``described``; empty if none does. More steps are no difference."""
    found = changes(_without_less(made, now), now, key)
    return f"with other parameters ({found})" if found else ""


def changed_code(header: CheckpointHeader, runs: Path) -> str:
    """Name the modules that have changed since an encoder was trained, for ``described``; empty if none is known."""
    made = _identity(header, runs).get("code", {})
    now = module_hashes(*(f"{PACKAGE}.{name}" for name in made)) if made else {}
    return _by_other_code([name for name in made if now.get(name) != made[name]])


def _changed(header: CheckpointHeader, runs: Path, identity: Mapping[str, Any], key: str) -> str:
    """Say how a run differs from the one that trained an encoder, as far as the folder of that run still tells."""
    made = _identity(header, runs)
    if not made:
        return f"by another run ({header.fingerprint}): with other parameters, on other data or by other code"
    if said := changed_parameters(made["params"], identity["params"], key):
        return said
    code = {name for name in {*made["code"], *identity["code"]} if made["code"].get(name) != identity["code"].get(name)}
    if code:
        return _by_other_code(sorted(code))
    if made.get("parents", []) != identity["parents"]:
        return "from other weights"
    if made.get("tokenizer") != identity.get("tokenizer"):
        return "with another tokenizer"
    other = [name for name in ("mixture", "weights", "filters") if made.get(name) != identity.get(name)]
    signals, now = made.get("signals", {}), identity["signals"]
    corpora = [corpus for corpus in sorted({*signals, *now}) if signals.get(corpus) != now.get(corpus)]
    other += [f"signals of {', '.join(corpora)}"] if corpora else []
    return f"on other data ({', '.join(other)} changed)"


def _without_less(made: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Earlier parameters with the present length, if all else is equal and that is more: the run goes on then."""
    lengths = {name: now[name] for name in _LENGTHS if name in now and (made.get(name) or 0) < (now[name] or 0)}
    longer = {**made, **lengths}
    return longer if longer == dict(now) else dict(made)


def _by_other_code(names: list[str]) -> str:
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    return f"by other code ({', '.join(names[:_N_NAMED])}{more})" if names else ""


def _identity(header: CheckpointHeader, runs: Path) -> dict[str, Any]:
    """Return what the run of an encoder was named by; empty if its logs were removed or cannot be read."""
    try:
        content = json.loads((runs / header.fingerprint / PARAMS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = content.get("identity") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), dict) for name in ("params", "code")):
        return {}
    return found
