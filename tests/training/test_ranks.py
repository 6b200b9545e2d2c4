"""Two processes train as one: the same weights on both, and those of one process."""

from pathlib import Path

import torch

from kedro_project import run_python

TRAIN = """
import sys
from pathlib import Path
import torch
from lightning import Callback, Trainer
from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, TrainStep, rank_slice
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.inference.backbone import new_backbone
from eegfm.objectives.config import MaskedConfig
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams
from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.module import PretrainModule
from eegfm.training.trainer import quieten

folder = Path(sys.argv[1])
positions = tuple((0.02 * k - 0.05, 0.05, 0.05) for k in range(4))
montage = Montage(tuple("abcd"), positions, (True,) * 4, "linked_ears")
spec = SignalSpec(100.0, {montage.name: montage}, {montage.name: 200})

def stored(corpus, size, seed):
    shape = (size, 200, 4)
    samples = torch.randint(-2000, 2000, shape, generator=torch.Generator().manual_seed(seed)).to(torch.int16)
    return {"samples": samples, "scales_uv": torch.full((size, 4), 0.02), "recording": torch.arange(size),
            "corpus": corpus, "montage": montage.name}

class Steps:
    # Two micro-batches of one corpus come first: gradients may be exchanged with the last one only.
    def __init__(self, module, is_shared):
        self.module, self.is_shared = module, is_shared
    def __len__(self):
        return 3
    def __iter__(self):
        for number in range(3):
            whole = [stored("hbn", 4, number), stored("hbn", 2, 10 + number), stored("tuh", 2, 20 + number)]
            own = rank_slice(self.module.rank, self.module.world_size) if self.is_shared else slice(None)
            parts = [{**b, **{k: b[k][own] for k in ("samples", "scales_uv", "recording")}} for b in whole]
            yield TrainStep(number, parts, 8)

class Keep(Callback):
    def on_train_end(self, trainer, module):
        torch.save(module.state_dict(), folder / f"{module.world_size}_{module.rank}.pt")

params = PretrainParams(encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=1), objective=MaskedConfig(),
                        optimizer=AdamWConfig(learning_rate=1e-2), n_steps=3, seed=3)
def train(n_processes, is_shared):
    backbone = new_backbone(params.encoder, NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")
    torch.manual_seed(0)
    module = PretrainModule(params.objective.build(backbone), params, {"hbn": 0.75, "tuh": 0.25}, 3, 3)
    quieten()
    trainer = Trainer(max_epochs=1, accelerator="cpu", devices=n_processes, logger=False, enable_checkpointing=False,
                      strategy="ddp_fork" if n_processes > 1 else "auto", enable_progress_bar=False,
                      enable_model_summary=False, limit_val_batches=0, callbacks=[Keep()])
    trainer.fit(module, Steps(module, is_shared))

train(1, True)
train(2, True)
train(2, False)
"""


def test_two_processes_have_the_weights_of_one_and_all_windows_to_each_are_an_error(tmp_path: Path) -> None:
    done = run_python(TRAIN, str(tmp_path))
    assert done.returncode != 0
    assert "step 1 has 8 windows, but the loader gives 8 to each of 2 processes" in done.stderr
    one, *two = (torch.load(tmp_path / name) for name in ("1_0.pt", "2_0.pt", "2_1.pt"))
    for name, value in one.items():
        assert torch.equal(two[0][name], two[1][name]), f"{name} differs between the processes"
        torch.testing.assert_close(two[0][name], value, atol=2e-4, rtol=1e-3)
