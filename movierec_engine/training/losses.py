"""Losses over the scores of a batch. In every score matrix [b, m] of a sampling loss, column 0 is the positive."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CACHED_FLOATS = 2**20
"""Scores that are in a processor's cache together."""
_LEAST_ROWS = 128
"""Users of whom scores are made at once, at least: with fewer the items' gradient is read and written too often."""


def bpr(scores: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al. 2009): mean over negatives j of -log sigmoid(s_0 - s_j)."""
    return functional.softplus(scores[:, 1:] - scores[:, :1]).mean()


def bce(scores: Tensor) -> Tensor:
    """Binary cross-entropy on logits (He et al. 2017): the positive is labelled 1, each negative 0; mean over all."""
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1
    return functional.binary_cross_entropy_with_logits(scores, labels)


def softmax(scores: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue: mean over pairs of -log softmax(s_row)_positive.

    scores: float32 [u, n_items], one row a user; rows, positives: int64 [b], each pair's row and item. A user's row
    serves all of the user's pairs (the multinomial likelihood of Liang et al. 2018).
    """
    return -functional.log_softmax(scores, dim=1)[rows, positives].mean()


def sampled_softmax(scores: Tensor, log_inclusion: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """`softmax` over a sample of the catalogue: mean over pairs of -log(exp s_0 / sum_j exp(s_j) / pi_j).

    scores: float32 [u, m] with the sampled items; log_inclusion: float32 [m], log pi_j, the probability that an item
    is in the sample, 0 for every positive; rows, positives: int64 [b], each pair's row and column.
    """
    return softmax(scores - log_inclusion, rows, positives)


def users_softmax(
    queries: Tensor, items: Tensor, log_inclusion: Tensor | None, rows: Tensor, positives: Tensor
) -> Tensor:
    """`softmax`, or with log pi_j `sampled_softmax`, of the scores queries @ items^T, which are never kept, on a CPU.

    queries: float32 [u, d]; items: float32 [m, d]; the others as above. Scores are made, and their gradient taken, some
    users at a time while they are in the cache, where a matrix of all of them is written and read ten times.
    """
    return _UsersSoftmax.apply(queries, items, log_inclusion, rows, positives)  # type: ignore[no-untyped-call, no-any-return]


class _UsersSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, items: Tensor, log_inclusion: Tensor | None, rows: Tensor, positives: Tensor
    ) -> Tensor:
        n, m, pairs = len(queries), len(items), len(rows)
        at_once = min(n, max(_LEAST_ROWS, CACHED_FLOATS // m))
        order = rows.argsort()
        rows, positives = rows[order], positives[order]
        count = torch.bincount(rows, minlength=n)
        ends = [0, *count.cumsum(0).tolist()]
        weight = (count / max(pairs, 1)).to(queries.dtype)[:, None]
        loss, of_queries = queries.new_zeros(()), torch.empty_like(queries)
        of_items = items.new_zeros(items.shape[1], m)  # its product takes half as long as the transposed one's
        cached = queries.new_empty(at_once, m)
        for start in range(0, n, max(at_once, 1)):
            end = min(start + at_once, n)
            pair = slice(ends[start], ends[end])
            place = (rows[pair] - start) * m + positives[pair]
            scores = torch.mm(queries[start:end], items.T, out=cached[: end - start])
            if log_inclusion is not None:
                scores.sub_(log_inclusion)
            most = scores.amax(dim=1, keepdim=True)
            own = scores.view(-1)[place].sum()
            shares = scores.sub_(most).exp_()
            total = shares.sum(dim=1, keepdim=True)
            loss += ((total.log() + most) * weight[start:end]).sum() - own / pairs
            shares.mul_(weight[start:end] / total)
            shares.view(-1).index_add_(0, place, shares.new_full((len(place),), -1 / max(pairs, 1)))
            torch.mm(shares, items, out=of_queries[start:end])
            of_items.addmm_(queries[start:end].T, shares)
        ctx.save_for_backward(of_queries, of_items.T)
        return loss if pairs else loss / 0  # as a mean over nothing is

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        of_queries, of_items = ctx.saved_tensors
        return of_queries.mul_(above[0]), of_items.mul_(above[0]), None, None, None


def linear_softmax(hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue: mean over n of -log softmax(<h_n, E>)_target.

    hidden: float32 [n, d], h; items: float32 [n_items, d], E; targets: int64 [n]. The scores are made, and their
    gradient taken, a few hundred rows at a time while they are in the cache, and are never kept.
    """
    return _LinearSoftmax.apply(hidden, items, targets)  # type: ignore[no-untyped-call, no-any-return]


class _LinearSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        n = len(hidden)
        rows = min(n, max(1, CACHED_FLOATS // len(items)))
        losses, of_hidden = hidden.new_empty(n), torch.empty_like(hidden)
        of_items = items.new_zeros(items.shape[1], len(items))  # its product takes half as long as the transposed one's
        cached = hidden.new_empty(rows, len(items))
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            h, wanted = hidden[part], targets[part, None]
            scores = torch.mm(h, items.T, out=cached[: len(h)])
            own, most = scores.gather(1, wanted), scores.amax(dim=1, keepdim=True)
            shares = scores.sub_(most).exp_()
            total = shares.sum(dim=1, keepdim=True)
            losses[part] = (total.log() + most - own)[:, 0]
            shares.scatter_(1, wanted, shares.gather(1, wanted) - total)
            scale = 1 / (total * n)
            torch.mm(shares, items, out=of_hidden[part]).mul_(scale)
            of_items.addmm_((h * scale).T, shares)
        ctx.save_for_backward(of_hidden, of_items.T)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, Tensor, None]:
        of_hidden, of_items = ctx.saved_tensors
        return of_hidden.mul_(above[0]), of_items.mul_(above[0]), None


def sampled_next_softmax(own: Tensor, others: Tensor, hit: Tensor) -> Tensor:
    """`linear_softmax` over a sample of the catalogue: mean of -log(exp s_n / (exp s_n + sum_j exp(s_j) / pi_j)).

    own: float32 [n], s_n, of the next item. others: float32 [n, m], s_j - log pi_j of the sampled items, which are the
    same for all, pi_j being the probability that one is in the sample. hit: bool [n, m], where it is the next item.
    """
    against = others.masked_fill(hit, -torch.inf).logsumexp(dim=1)
    return functional.softplus(against - own).mean()


def gbce(own: Tensor, others: Tensor, hit: Tensor, share: float, calibration: float) -> Tensor:
    """Generalised binary cross-entropy (Petrov and Macdonald 2023), a mean over n.

        -b log sigmoid(s_n) - sum_j log(1 - sigmoid(s_j)),    b = a (t (1 - 1/a) + 1/a)

    share: a, of the catalogue that is sampled, uniformly. calibration: t from 0, plain cross-entropy, to 1, by which
    sigmoid(s) is the probability of the next item in spite of the sampling. The others as in `sampled_next_softmax`.
    """
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    against = functional.softplus(others.masked_fill(hit, -torch.inf)).sum(dim=1)
    return (power * functional.softplus(-own) + against).mean()
