"""The convolutional patch embedding of LaBraM. CBraMod and LUNA use it with other sizes.

Shapes: B windows, N patches of a window, S samples of a patch, F maps, L steps that are left of a patch.
"""

from torch import Tensor, nn
from torch.nn.functional import gelu

from eegfm.encoders.traits import PatchNorm
from eegfm.nn.patch_ops import masked_group_norm


class ConvPatches(nn.Module):
    """Three convolutions along each patch, each with a group norm and a GELU.

    The kernels are (1, k), so neighbouring patches never mix. Only the norms can share information between patches. A
    norm over the ``patch`` embeds each patch on its own, and loses its amplitude. With a norm over the ``window``, as
    published, all patches share one mean and variance per group (without padding). No objective may then mask patches.

    Args:
        n_maps: Maps F of each convolution.
        kernel: Odd length in samples of the first kernel; the others are 3.
        stride: Samples from one step to the next.
        n_groups: Groups of the norms.
        norm_over: Extent of the norms.
    """

    def __init__(self, *, n_maps: int, kernel: int, stride: int, n_groups: int, norm_over: PatchNorm) -> None:
        super().__init__()
        self.norm_over = norm_over
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(1, n_maps, (1, kernel), stride=(1, stride), padding=(0, kernel // 2)),
                nn.Conv2d(n_maps, n_maps, (1, 3), padding=(0, 1)),
                nn.Conv2d(n_maps, n_maps, (1, 3), padding=(0, 1)),
            ]
        )
        self.norms = nn.ModuleList(nn.GroupNorm(n_groups, n_maps) for _ in self.convolutions)

    def forward(self, patches: Tensor, mask: Tensor | None) -> Tensor:
        """Embed (B, N, S) patches as (B, N, F, L).

        Args:
            patches: In the unit of the model.
            mask: (B, N) bool, False for patches of padding; None where all are real.
        """
        B, N, S = patches.shape
        is_window = self.norm_over == "window"
        x = patches.unsqueeze(1) if is_window else patches.reshape(B * N, 1, 1, S)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            assert isinstance(norm, nn.GroupNorm)
            x = gelu(masked_group_norm(norm, convolution(x), mask if is_window else None))
        F, L = x.shape[1], x.shape[3]
        return x.transpose(1, 2) if is_window else x.view(B, N, F, L)
