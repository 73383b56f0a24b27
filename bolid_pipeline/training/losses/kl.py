"""The KL term of the variational body encoder (arXiv 1312.6114, appendix B)."""

import torch


def kl_to_standard_normal(
    mean_BD: torch.Tensor, logvar_BD: torch.Tensor, is_counted_B: torch.Tensor
) -> torch.Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats per element, the mean over the counted rows; 0 without any."""
    kl_B = 0.5 * (mean_BD.square() + logvar_BD.exp() - 1 - logvar_BD).float().mean(1)
    return (kl_B * is_counted_B).sum() / is_counted_B.sum().clamp_min(1)
