"""What tells cells apart whose weights have equal shapes: their wiring and how it is read.

A wired cell keeps a digest of it beside its weights, in the buffer ``told_apart``: a row for each
thing that says what a weight stands for. Weights of another wiring would load without a word and
mean nothing, so they are refused.
"""

import hashlib
import json
import warnings

import torch
from torch import Tensor

from liquid_control.nn.cells.circuit import Wiring

NAME = "told_apart"
BYTES = 8  # of a row


def meaning(wiring: Wiring, **more: str | None) -> dict[str, object]:
    """What a wired cell's weights stand for: synapses and groups, and ``more``, all by name."""
    named = {key: value for key, value in wiring.config().items() if key != "kind"}
    return {"wiring": named, **more}


def digests(meaning: dict[str, object]) -> Tensor:
    """(things, BYTES) of uint8, a row for each thing."""
    texts = (json.dumps(thing, sort_keys=True).encode() for thing in meaning.values())
    rows = [list(hashlib.sha256(text).digest()[:BYTES]) for text in texts]
    return torch.tensor(rows, dtype=torch.uint8)


def check(ours: Tensor, things: tuple[str, ...], kind: str, state_dict: dict, prefix: str) -> None:
    """ValueError if the weights in ``state_dict`` stand for something else than ours.

    Weights without a digest are of a time before there was one. They are taken with a warning, and
    get ours: they stand beside the config that their cell was built from, and to refuse them would
    throw away trainings that are right.
    """
    theirs = state_dict.get(prefix + NAME)
    if theirs is None:
        warnings.warn(
            f"the weights of a {kind} do not say of which wiring they are; taken as those of this "
            "one. Save them anew, and another wiring will refuse them",
            stacklevel=2,
        )
        state_dict[prefix + NAME] = ours.clone()
        return
    other = list(things)
    if theirs.shape == ours.shape:
        same = theirs.to(ours.device).eq(ours).all(dim=1).tolist()
        other = [thing for thing, is_same in zip(things, same) if not is_same]
    if other:
        raise ValueError(
            f"these are weights of a {kind} of another {' and '.join(other)}, expected those of "
            "this one: build the cell from the config that they were saved with"
        )
