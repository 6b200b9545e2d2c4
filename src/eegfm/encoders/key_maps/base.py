"""How published weights are renamed: rules that must account for every name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class KeyMap:
    """Rules for one published layout.

    Args:
        source: Where names and shapes are from: repository, file, commit.
        licence: Of the published weights.
        wrappers: Prefixes that training frameworks put before every name; the first that all names share is dropped.
        rules: Pairs of a regular expression for a whole published name, and its replacement (``re.sub`` syntax): the
            name here, without the prefix ``encoder.``.
        left_out: Regular expressions of published weights that belong to no encoder, such as heads and decoders.
        convert: Changes values whose layout differs: from all arrays by the names here, to the same.
    """

    source: str
    licence: str
    rules: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ("model.", "module.", "student.")
    convert: Callable[[Arrays], Arrays] = field(default=lambda arrays: arrays)

    def translate(self, published: Mapping[str, NDArray[np.generic]]) -> "Translated":
        """Rename the arrays of a published file."""
        renamed: Arrays = {}
        left_out, unknown = [], []
        wrapper = next((w for w in self.wrappers if published and all(name.startswith(w) for name in published)), "")
        for full_name, value in published.items():
            name = full_name.removeprefix(wrapper)
            if any(re.fullmatch(pattern, name) for pattern in self.left_out):
                left_out.append(full_name)
                continue
            rule = next(((p, r) for p, r in self.rules if re.fullmatch(p, name)), None)
            if rule is None:
                unknown.append(full_name)
            else:
                renamed[re.sub(rule[0], rule[1], name)] = value
        return Translated(self.convert(renamed), sorted(left_out), sorted(unknown))


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
