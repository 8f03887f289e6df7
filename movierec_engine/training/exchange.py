"""Sums over the workers of one training, by torch.distributed: gloo between CPUs, nccl between GPUs."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import psutil
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch._C._distributed_c10d import TCPStore
from torch.nn.utils import clip_grads_with_norm_

from movierec_engine.training.trainable import Network
from movierec_engine.workers.team import WorkerLost

_PATIENCE = timedelta(minutes=10)
"""How long a worker waits for the others in one sum."""


class Exchange:
    """One worker's end of the exchange. Every worker must ask for the same sums in the same order."""

    def __init__(
        self, number: int, hosts: Sequence[str], store: TCPStore, device: torch.device, own_users: int
    ) -> None:
        """hosts: address of each worker. store: of worker 0. own_users: rows of users in this worker's tables."""
        self._device, self._own_users = device, own_users
        if name := interface_of(hosts[number]):
            os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = name
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=number, world_size=len(hosts), timeout=_PATIENCE)

    def add(self, tensor: Tensor) -> None:
        """Replace a contiguous tensor by its sum over the workers. Raises WorkerLost where one is gone."""
        self.begin_adding(tensor)()

    def begin_adding(self, tensor: Tensor) -> Callable[[], None]:
        """Begin to replace a contiguous tensor by its sum over the workers; what is returned waits until it is.

        Both raise WorkerLost where a worker is gone.
        """
        under_way = _together(lambda: dist.all_reduce(tensor, async_op=True))
        return lambda: _together(under_way.wait)

    def total(self, value: Tensor) -> Tensor:
        """The sum of a value over the workers."""
        value = value.clone()
        self.add(value)
        return value

    def union(self, items: NDArray[np.int64], n_items: int) -> NDArray[np.int64]:
        """The items that any worker names, ascending."""
        named = torch.zeros(n_items, dtype=torch.uint8)
        named[torch.from_numpy(items)] = 1
        named = named.to(self._device)
        _together(lambda: dist.all_reduce(named, op=dist.ReduceOp.MAX))
        return np.flatnonzero(named.cpu().numpy())

    def step_gradients(self, network: Network, largest: float) -> None:
        """Sum the gradients of what is common, and clip those of all workers together to a norm, unless that is 0."""
        own, common = [], []
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            rows = self._own_users if name in network.user_tables else 0
            own.append(parameter.grad[:rows] if rows else parameter.grad.new_zeros(0))
            common.append(parameter.grad[rows:] if rows else parameter.grad)
        flat = torch.cat([part.reshape(-1) for part in common])
        self.add(flat)
        for part, summed in zip(common, torch.split(flat, [part.numel() for part in common]), strict=True):
            part.copy_(summed.view_as(part))
        if largest:
            squares = torch.stack([part.square().sum() for part in own]).sum()
            norm = (self.total(squares) + flat.square().sum()).sqrt()
            clip_grads_with_norm_(network.parameters(), largest, norm)


def open_store(host: str, port: int = 0) -> TCPStore:
    """The store at which workers find one another: opened here, at this host's address, or that of a port."""
    return TCPStore(host, port, is_master=not port, wait_for_workers=False, timeout=_PATIENCE)


def interface_of(address: str) -> str:
    """The network interface with an address, "" where none has it."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address for one in addresses):
            return str(name)
    return ""


def _together(sums: Callable[[], Any]) -> Any:
    try:
        return sums()
    except RuntimeError as error:
        raise WorkerLost(f"another worker is gone ({str(error).splitlines()[0]})") from error
