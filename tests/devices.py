"""The devices of this machine, for tests of what has to hold on each."""

import torch

ACCELERATORS = [kind for kind in ("cuda", "mps") if torch.get_device_module(kind).is_available()]
DEVICES = ["cpu", *ACCELERATORS]
