"""Encoders: a small picture in, a few features out, once an image.

Shapes: B batch, k features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FINDING = 2  # convolutions, after which points are looked for
SHARPNESS = 4.0  # of the softmax; it begins with points that are somewhere
CONTRAST_FLOOR = 0.03  # of full scale; what varies less is not amplified to noise


class Encoder(nn.Module):
    """Strided convolutions and a linear layer: (B, height, width, 3) uint8 to (B, k) in (-1, 1).

    Each picture is normalised by its own mean colour and spread, so that light and haze matter
    little. Batch normalisation makes it learn several times as fast: put it in `eval` mode to step.
    Use it in front of a `Policy`, whose last observation slot is ``features``.

    Where something small has to be found, ``points`` say where in the picture each of so many
    things is, and how much there is of it: spatial softmax, Levine, Finn, Darrell, Abbeel,
    "End-to-end training of deep visuomotor policies", JMLR 2016.

    Args:
        width, height: of the picture, px.
        features: k.
        channels: of each convolution; each halves both sides.
        points: looked for in what the second convolution gives; 0 for none.
    """

    def __init__(
        self,
        width: int,
        height: int,
        features: int,
        channels: Sequence[int] = (16, 24, 32, 32),
        points: int = 0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, rows, columns = 3, height, width
        if points and len(channels) < FINDING:
            raise ValueError(f"points: expected {FINDING} convolutions or more, got {channels}")
        for k, outputs in enumerate(channels):
            size = 5 if k == 0 else 3
            layers += [
                nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
            inputs, rows, columns = outputs, (rows + 1) // 2, (columns + 1) // 2
            if points and k + 1 == FINDING:
                self.finder = nn.Conv2d(outputs, points, 1)
                y, x = torch.meshgrid(
                    torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij"
                )
                places = torch.stack([x.flatten(), y.flatten()], dim=1)
                self.register_buffer("places", places, persistent=False)
        self.convolutions = nn.Sequential(*layers)
        self.points = points
        self.readout = nn.Linear(inputs * rows * columns + 3 * points, features)
        self.width, self.height, self.features = width, height, features

    def forward(self, image_BHW3: Tensor) -> Tensor:
        """Features (B, k) of pictures (B, height, width, 3) uint8."""
        x = image_BHW3.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        spread = (x * x).mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = x / (spread + CONTRAST_FLOOR)
        if not self.points:
            return torch.tanh(self.readout(self.convolutions(x).flatten(1)))
        first = 3 * FINDING  # each convolution is three layers
        x = self.convolutions[:first](x)
        found = self._find(x)
        x = self.convolutions[first:](x)
        return torch.tanh(self.readout(torch.cat([x.flatten(1), *found], dim=1)))

    def _find(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of each point its place, x and y from -1 to 1, and how much is there, (B, points)."""
        likely = SHARPNESS * self.finder(x).flatten(2)
        share = likely.softmax(dim=2)
        return (share @ self.places).flatten(1), torch.tanh(0.2 * (share * likely).sum(dim=2))

    def parameter_count(self) -> int:
        """Its weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())
