"""Graph propagation over a symmetric CSR adjacency, as a PyTorch Geometric layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import MessagePassing


class SymmetricMatmul(torch.autograd.Function):
    """A @ X for a constant symmetric A, whose gradient is A @ G; shapes as `product`'s.

    Autograd would transpose A at every backward pass; the symmetry saves that (2 to 5 times faster on a CPU). Mixed
    precision stays out of it: sums over many neighbours want float32.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, adjacency: Tensor, x: Tensor) -> Tensor:
        ctx.adjacency = adjacency
        return product(adjacency, x)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor]:
        return None, product(ctx.adjacency, grad_outputs[0].contiguous())


class SharedMatmul(torch.autograd.Function):
    """`SymmetricMatmul` in parts that have some users each, and all items.

    Rows of items in the product are summed over the parts. Their gradients are each part's own until they come here:
    the users' then follow from the sum of them.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, adjacency: Tensor, x: Tensor, n_users: int, add: Callable[[Tensor], None]) -> Tensor:
        ctx.adjacency, ctx.n_users, ctx.add = adjacency, n_users, add
        received = product(adjacency, x)
        add(received[n_users:])
        return received

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor, None, None]:
        gradient = grad_outputs[0].clone(memory_format=torch.contiguous_format)
        ctx.add(gradient[ctx.n_users :])
        return None, product(ctx.adjacency, gradient), None, None


class SymmetricLGConv(MessagePassing):  # type: ignore[misc]
    """One LightGCN propagation: x_v <- sum over neighbours w of x_w / sqrt(deg(v) deg(w)).

    Shapes: x float32 [n_nodes, d], adjacency CSR float32 [n_nodes, n_nodes], symmetric and already normalised;
    the output is float32 [n_nodes, d].
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum")
        self._shared: tuple[int, Callable[[Tensor], None]] | None = None

    def share(self, n_users: int, add: Callable[[Tensor], None]) -> None:
        """Propagate over the part of a larger graph that has all edges of its first n_users nodes.

        The other nodes, items, are in every part, and receive from the users of all parts: `add` replaces a contiguous
        tensor by its sum over the parts.
        """
        self._shared = (n_users, add)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        return self.propagate(adjacency, x=x)  # type: ignore[no-any-return]

    def message_and_aggregate(self, edge_index: Tensor, x: Tensor) -> Tensor:
        if self._shared:
            return SharedMatmul.apply(edge_index, x, *self._shared)  # type: ignore[no-any-return, no-untyped-call]
        return SymmetricMatmul.apply(edge_index, x)  # type: ignore[no-any-return, no-untyped-call]


def product(adjacency: Tensor, x: Tensor) -> Tensor:
    """A @ X, float32 [n, d], of a CSR matrix A float32 [n, m] and X float32 [m, d].

    cuSPARSE adds in an order that changes from run to run, and weights with it. A row of the product is a weighted sum
    of rows of X, which is what an embedding bag is; its CUDA kernel adds one after another.
    """
    if not x.is_cuda:
        return adjacency @ x
    return functional.embedding_bag(
        adjacency.col_indices(),
        x,
        adjacency.crow_indices(),
        mode="sum",
        per_sample_weights=adjacency.values(),
        include_last_offset=True,
    )
