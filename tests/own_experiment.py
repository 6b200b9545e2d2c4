"""The README's own example: a folder of recordings that becomes a corpus by configuration alone."""

import re
import shutil
from pathlib import Path

from kedro_project import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
NAMES = ("parameters.yml", "globals.yml", "catalog.yml")


def write_experiment(conf: Path, changes: dict[str, tuple[str, str]] | None = None, name: str = "mine") -> Path:
    """Copy the project's configuration, and add the README's experiment.

    Args:
        conf: Folder of the configuration; it is made if it is not there.
        changes: By file, a text of the README and what stands there instead.
        name: Name of the experiment's folder.
    """
    if not conf.exists():
        shutil.copytree(PROJECT_ROOT / "conf", conf)
    folder = conf / "experiments" / name
    folder.mkdir(exist_ok=True)
    blocks = {Path(path).name: text for path, text in re.findall(r"```yaml\n# conf/(\S+)\n(.*?)```", README, re.DOTALL)}
    assert tuple(blocks) == NAMES
    for file, text in blocks.items():
        old, new = (changes or {}).get(file, ("", ""))
        assert old in text, f"{file} of the README has no {old!r}"
        (folder / file).write_text(text.replace(old, new) if old else text + new, encoding="utf-8")
    return folder
