"""Encoders: a small picture in, a few features out, once an image.

Shapes: B batch, k features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CONTRAST_FLOOR = 0.03  # of full scale; what varies less is not amplified to noise


class Encoder(nn.Module):
    """Strided convolutions and a linear layer: (B, height, width, 3) uint8 to (B, k) in (-1, 1).

    Each picture is normalised by its own mean colour and spread, so that light and haze matter
    little. Batch normalisation makes it learn several times as fast: put it in `eval` mode to step.
    Use it in front of a `Policy`, whose last observation slot is ``features``.

    Args:
        width, height: of the picture, px.
        features: k.
        channels: of each convolution; each halves both sides.
    """

    def __init__(
        self, width: int, height: int, features: int, channels: Sequence[int] = (16, 24, 32, 32)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, rows, columns = 3, height, width
        for k, outputs in enumerate(channels):
            size = 5 if k == 0 else 3
            layers += [
                nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
            inputs, rows, columns = outputs, (rows + 1) // 2, (columns + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.readout = nn.Linear(inputs * rows * columns, features)
        self.width, self.height, self.features = width, height, features

    def forward(self, image_BHW3: Tensor) -> Tensor:
        """Features (B, k) of pictures (B, height, width, 3) uint8."""
        x = image_BHW3.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        spread = (x * x).mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = self.convolutions(x / (spread + CONTRAST_FLOOR))
        return torch.tanh(self.readout(x.flatten(1)))

    def parameter_count(self) -> int:
        """Its weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())
