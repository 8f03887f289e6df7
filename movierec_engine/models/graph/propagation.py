"""Graph propagation over a symmetric CSR adjacency."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from movierec_engine.models.graph.column_blocks import LARGE_FLOATS, ColumnBlocks, weighted_sums

Product = Callable[[Tensor], Tensor]
"""X -> A @ X, both float32 [n, d]."""


class SymmetricMatmul(torch.autograd.Function):
    """A @ X for a constant symmetric A, whose gradient is A @ G.

    Autograd would transpose A at every backward pass; the symmetry saves that (2 to 5 times faster on a CPU). Mixed
    precision stays out of it: sums over many neighbours want float32.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, product: Product, x: Tensor) -> Tensor:
        ctx.product = product
        return product(x)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor]:
        return None, ctx.product(grad_outputs[0].contiguous())


class SharedMatmul(torch.autograd.Function):
    """`SymmetricMatmul` in parts that have some users each, and all items.

    Rows of items in the product are summed over the parts. Their gradients are each part's own until they come here:
    the users' then follow from the sum of them.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, product: Product, x: Tensor, n_users: int, add: Callable[[Tensor], None]) -> Tensor:
        ctx.product, ctx.n_users, ctx.add = product, n_users, add
        received = product(x)
        add(received[n_users:])
        return received

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor, None, None]:
        gradient = grad_outputs[0].clone(memory_format=torch.contiguous_format)
        ctx.add(gradient[ctx.n_users :])
        return None, ctx.product(gradient), None, None


class SymmetricLGConv(nn.Module):
    """One LightGCN propagation: x_v <- sum over neighbours w of x_w / sqrt(deg(v) deg(w)).

    Shapes: x float32 [n_nodes, d], adjacency CSR float32 [n_nodes, n_nodes], symmetric and already normalised;
    the output is float32 [n_nodes, d].
    """

    def __init__(self) -> None:
        super().__init__()
        self._shared: tuple[int, Callable[[Tensor], None]] | None = None
        self._whole: Tensor | None = None
        self._product: Product | None = None

    def prepare(self, adjacency: Tensor, width: int) -> None:
        """Make ready to propagate over one adjacency many times, of x of about this width: a large one by blocks."""
        if adjacency.device.type == "cpu" and len(adjacency) * width >= LARGE_FLOATS:
            self._whole, self._product = adjacency, ColumnBlocks(adjacency, width).product

    def share(self, n_users: int, add: Callable[[Tensor], None]) -> None:
        """Propagate over the part of a larger graph that has all edges of its first n_users nodes.

        The other nodes, items, are in every part, and receive from the users of all parts: `add` replaces a contiguous
        tensor by its sum over the parts.
        """
        self._shared = (n_users, add)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        known = self._product if adjacency is self._whole else None
        product = known or partial(weighted_sums, adjacency)
        if self._shared:
            return SharedMatmul.apply(product, x, *self._shared)  # type: ignore[no-any-return, no-untyped-call]
        return SymmetricMatmul.apply(product, x)  # type: ignore[no-any-return, no-untyped-call]
