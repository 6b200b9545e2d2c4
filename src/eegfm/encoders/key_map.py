"""Key maps: rules that rename published weights and account for every name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import CheckpointError

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class KeyMap:
    """Rules for one published layout.

    Args:
        source: Source of names and shapes: repository, file, commit.
        license: License of the published weights.
        wrappers: Prefixes that training frameworks put before every name; as long as all names that are not left out
            share one, it is dropped.
        rules: Pairs of a regular expression for a whole published name, and its replacement (``re.sub`` syntax): the
            name here, without the prefix ``encoder.``.
        left_out: Regular expressions of published weights that belong to no encoder, such as heads and decoders.
        convert: Changes values whose layout differs: from all arrays by the names here, to the same.
    """

    source: str
    license: str
    rules: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ("model.", "module.", "student.", "_orig_mod.")
    convert: Callable[[Arrays], Arrays] = field(default=lambda arrays: arrays)

    def translate(self, published: Mapping[str, NDArray[np.generic]]) -> "Translated":
        """Rename the arrays of a published file.

        Raises:
            CheckpointError: Two published names mean the same weight, or weights have no shapes of this layout.
        """
        renamed: Arrays = {}
        origin: dict[str, str] = {}
        left_out, unknown = [], []
        short_names = self._unwrapped(published)
        for full_name, value in published.items():
            name = short_names[full_name]
            if self._is_left_out(full_name, name):
                left_out.append(full_name)
                continue
            rule = next(((p, r) for p, r in self.rules if re.fullmatch(p, name)), None)
            if rule is None:
                unknown.append(full_name)
                continue
            ours = re.sub(rule[0], rule[1], name)
            if ours in renamed:
                raise CheckpointError(
                    f"published weights {origin[ours]} and {full_name} are both {ours}; "
                    "import a file that holds one model once"
                )
            renamed[ours], origin[ours] = value, full_name
        try:
            converted = self.convert(renamed)
        except (IndexError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"published weights have other shapes than those of {self.source} ({error}); import a file of this "
                "encoder, or choose the encoder of the file"
            ) from error
        return Translated(converted, sorted(left_out), sorted(unknown))

    def _unwrapped(self, published: Mapping[str, NDArray[np.generic]]) -> dict[str, str]:
        """Names without the prefixes that all of them share, those apart that are left out."""
        names = {name: name for name in published}
        while True:
            kept = [short for full, short in names.items() if not self._is_left_out(full, short)]
            wrapper = next((w for w in self.wrappers if kept and all(short.startswith(w) for short in kept)), None)
            if wrapper is None:
                return names
            names = {full: short.removeprefix(wrapper) for full, short in names.items()}

    def _is_left_out(self, *names: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self.left_out for name in names)


@dataclass(frozen=True)
class Translated:
    """Published weights under the names here.

    Args:
        tensors: By the name here, without the prefix ``encoder.``.
        left_out: Published names that belong to no encoder.
        unknown: Published names that no rule accounts for; loading refuses them.
    """

    tensors: Arrays
    left_out: list[str]
    unknown: list[str]
