"""The mapping network of the StyleGANs: from z (and a class) to one w a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import EqualizedLinear, second_moment_normalized


class MappingNetwork(nn.Module):
    """z [N,z_dim], condition [N,c_dim] -> w [N,num_ws,w_dim] (Karras et al. 2019, section 2).

    ``w_avg`` is the mean of w, towards which truncation pulls. ``z_dim`` 0: the class alone is mapped, as in
    discriminators, and ``num_ws`` 0 gives [N,w_dim].
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_ws: int, *, layers: int = 8, rate: float = 0.01) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.num_ws, self.num_layers = z_dim, c_dim, w_dim, num_ws, layers
        embedded = w_dim if c_dim else 0
        if c_dim:
            self.embed = EqualizedLinear(c_dim, embedded)
        width = z_dim + embedded
        for i in range(layers):
            setattr(self, f"fc{i}", EqualizedLinear(width, w_dim, activate=True, rate=rate))
            width = w_dim
        if num_ws:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self, z: Tensor | None, condition: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None
    ) -> Tensor:
        """``psi`` below 1 pulls the first ``cutoff`` (None: all) of the w towards their mean."""
        parts = [second_moment_normalized(z.float())] if z is not None and self.z_dim else []
        if self.c_dim:
            if condition is None or condition.shape[1] != self.c_dim:
                raise ValueError(f"mapping: expected a condition [N,{self.c_dim}]")
            parts.append(second_moment_normalized(self.embed(condition.float())))
        x = torch.cat(parts, 1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        if not self.num_ws:
            return x
        ws = x[:, None].repeat(1, self.num_ws, 1)
        return truncated(ws, self.w_avg, psi, cutoff)


def truncated(ws: Tensor, centre: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """The truncation trick in W: ws [N,L,D] moved towards ``centre`` [D], the first ``cutoff`` layers alone."""
    if psi == 1.0:
        return ws
    last = ws.shape[1] if cutoff is None else cutoff
    return torch.cat([centre.lerp(ws[:, :last], psi), ws[:, last:]], 1)
