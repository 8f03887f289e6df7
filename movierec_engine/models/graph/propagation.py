"""Graph propagation over a symmetric CSR adjacency."""

from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from movierec_engine.models.graph.column_blocks import LARGE_FLOATS, WHOLE, ColumnBlocks, weighted_sums
from movierec_engine.training.trainable import BeginAdding


class Product(Protocol):
    """X and rows -> those rows of A @ X, float32 [n, d] and [r, d], in `out` where it is given."""

    def __call__(self, x: Tensor, rows: slice = WHOLE, out: Tensor | None = None) -> Tensor: ...


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
    the users' then follow from the sum of them. What items get from users, and users from items, needs nothing of the
    other, so that the one is computed while the other is under way between the parts.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, product: Product, x: Tensor, n_users: int, begin_adding: BeginAdding) -> Tensor:
        ctx.product, ctx.n_users, ctx.begin_adding = product, n_users, begin_adding
        received, users, items = torch.empty_like(x), slice(n_users), slice(n_users, None)
        added = begin_adding(product(x, items, out=received[items]))
        product(x, users, out=received[users])
        added()
        return received

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor, None, None]:
        gradient = grad_outputs[0].clone(memory_format=torch.contiguous_format)
        sent, users, items = torch.empty_like(gradient), slice(ctx.n_users), slice(ctx.n_users, None)
        added = ctx.begin_adding(gradient[items])
        ctx.product(gradient, items, out=sent[items])  # reads the users' gradients alone
        added()
        ctx.product(gradient, users, out=sent[users])
        return None, sent, None, None


class SymmetricLGConv(nn.Module):
    """One LightGCN propagation: x_v <- sum over neighbours w of x_w / sqrt(deg(v) deg(w)).

    Shapes: x float32 [n_nodes, d], adjacency CSR float32 [n_nodes, n_nodes], symmetric and already normalised;
    the output is float32 [n_nodes, d]. n_users: nodes before those of the items.
    """

    def __init__(self, n_users: int) -> None:
        super().__init__()
        self._n_users = n_users
        self._begin_adding: BeginAdding | None = None
        self._whole: Tensor | None = None
        self._product: Product | None = None

    def prepare(self, adjacency: Tensor, width: int) -> None:
        """Make ready to propagate over one adjacency many times, of x of about this width: a large one by blocks."""
        if adjacency.device.type == "cpu" and len(adjacency) * width >= LARGE_FLOATS:
            self._whole, self._product = adjacency, ColumnBlocks(adjacency, self._n_users, width).product

    def share(self, begin_adding: BeginAdding) -> None:
        """Propagate over the part of a larger graph that has all edges of its users.

        The items are in every part, and receive from the users of all parts.
        """
        self._begin_adding = begin_adding

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        known = self._product if adjacency is self._whole else None
        product = known or partial(weighted_sums, adjacency)
        if add := self._begin_adding:
            return SharedMatmul.apply(product, x, self._n_users, add)  # type: ignore[no-any-return, no-untyped-call]
        return SymmetricMatmul.apply(product, x)  # type: ignore[no-any-return, no-untyped-call]
