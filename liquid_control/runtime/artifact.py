"""`policy.onnx`: one file that holds a policy and the proof that it computes what it should.

The graph is one control step with the batch dimension free:

    observation (B, n) SI, dt (B, 1) s, state (B, m)  ->  command (B, c) SI, next_state (B, m)

All inputs and outputs are float32; normalisation and action scaling are inside the graph. The
metadata property `liquid_control` holds `PolicyMetadata` as JSON, `liquid_control_file_sha256` the
digest of every other byte of the file, which is checked before anything is parsed. The metadata
carries golden pairs: a short sequence of inputs with the outputs that the trained network gave.
Loading re-runs them, so a runtime that computes something else is refused before anything flies.
Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from liquid_control.config import ConfigError, missing_packages
from liquid_control.runtime.circuit_weights import graph_strengths
from liquid_control.runtime.eye import EYE_KEY, FEATURES, Eye, check_eye, packed, unpacked
from liquid_control.runtime.schema import SCHEMA_VERSION as SCHEMA_VERSION
from liquid_control.runtime.schema import Golden as Golden
from liquid_control.runtime.schema import PolicyMetadata, read_metadata
from liquid_control.runtime.schema import SlotEntry as SlotEntry
from liquid_control.runtime.schema import Wiring as Wiring
from liquid_control.runtime.schema import slot_entries as slot_entries

METADATA_KEY = "liquid_control"
DIGEST_KEY = "liquid_control_file_sha256"
_DIGEST_SIZE = 64  # hexadecimal digits
_DIGEST_MARK = DIGEST_KEY.encode() + bytes([0x12, _DIGEST_SIZE])  # protobuf: its value follows
GOLDEN_TOLERANCE = 1e-4  # largest absolute error of a golden output
MAX_BYTES = 64 * 2**20  # a policy is kilobytes; what is larger is not one
INPUTS = ("observation", "dt", "state")
OUTPUTS = ("command", "next_state")


@dataclass(frozen=True)
class Artifact:
    """A policy that passed every check."""

    path: Path
    metadata: PolicyMetadata
    session: onnxruntime.InferenceSession
    eye: Eye | None = None  # of a policy that sees

    def zero_state(self) -> np.ndarray:
        """The state at reset, ``(1, m)`` float32."""
        return np.zeros((1, len(self.metadata.state_names)), np.float32)


def seal(data: bytes) -> bytes:
    """An ONNX file with its digest set, which is of all bytes but its own digits."""
    before, _, after = _split_digest(data)
    return before + _digest(before, after) + after


def _split_digest(data: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands before the digest, the digest, and what stands after it."""
    start = data.index(_DIGEST_MARK) + len(_DIGEST_MARK)
    return data[:start], data[start : start + _DIGEST_SIZE], data[start + _DIGEST_SIZE :]


def _digest(before: bytes, after: bytes) -> bytes:
    return hashlib.sha256(before + after).hexdigest().encode()


def write_artifact(
    path: str | Path, graph: bytes, metadata: PolicyMetadata, encoder: bytes | None = None
) -> Artifact:
    """Put the metadata into an ONNX graph and write it; the file appears whole or not at all.

    encoder: the ONNX graph of an eye, see `runtime.eye`.

    The file is loaded with all checks before it takes its name. Needs the onnx package.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise missing_packages("train", ["onnx"]) from None
    model = onnx.load_from_string(graph)
    properties = {METADATA_KEY: metadata.model_dump_json(), DIGEST_KEY: "0" * _DIGEST_SIZE}
    if encoder is not None:
        properties[EYE_KEY] = packed(encoder)
    onnx.helper.set_model_props(model, properties)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(seal(model.SerializeToString(deterministic=True)))
    try:
        load_artifact(partial)
    except ConfigError:
        partial.unlink()
        raise
    os.replace(partial, path)
    return load_artifact(path)


def upgrade_artifact(path: str | Path) -> Artifact:
    """Rewrite a policy of an older schema in today's; the graph stays as it is.

    A file of an older schema loads and flies as well; rewrite it where other programs read what
    it says, and to see its circuit: how strong the synapses are is read from the graph, see
    `circuit_weights.graph_strengths`, and stays unknown where that can't be. Needs the onnx
    package. Raises ConfigError as `load_artifact` does.
    """
    metadata, graph = load_artifact(path).metadata, Path(path).read_bytes()
    encoder = read_encoder(path)
    wiring = metadata.wiring
    if wiring is not None and wiring.counts()["unknown"]:
        strengths = graph_strengths(graph, metadata)
        metadata = metadata.model_copy(update={"wiring": wiring.with_strengths(strengths)})
    return write_artifact(path, graph, metadata, encoder)


def read_encoder(path: str | Path) -> bytes | None:
    """The ONNX file of the eye of a policy that `load_artifact` takes; ``None`` without an eye.

    Use it to look into an eye; `Artifact.eye` is what flies.
    """
    path = Path(path)
    eye = open_session(path, path.read_bytes())[1].get(EYE_KEY)
    return None if eye is None else unpacked(path, eye)


def load_artifact(path: str | Path) -> Artifact:
    """Read and check a policy: size, digest, graph, schema, finiteness, golden pairs.

    Files of older schemas are upgraded in memory, where they say nothing of strengths.

    Raises:
        ConfigError: which names the file, the check that failed and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such policy file")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise ConfigError(f"{path}: size check failed: {size} bytes, expected 1 to {MAX_BYTES}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    _check_digest(path, data)
    session, properties = open_session(path, data)
    metadata = _read_metadata(path, properties)
    artifact = Artifact(path, metadata, session, _open_eye(path, metadata, properties))
    _check_shapes(artifact)
    _check_golden(artifact)
    return artifact


def _check_digest(path: Path, data: bytes) -> None:
    if _DIGEST_MARK not in data:
        raise ConfigError(
            f"{path}: digest check failed: no policy, or cut short, or of an earlier release: "
            f"expected {DIGEST_KEY} in it"
        )
    before, digest, after = _split_digest(data)
    if digest != _digest(before, after):
        raise ConfigError(f"{path}: digest check failed: the file was edited or damaged")


def open_session(
    path: str | Path, data: bytes
) -> tuple[onnxruntime.InferenceSession, dict[str, str]]:
    """The graph, ready to run, and the file's properties."""
    options = onnxruntime.SessionOptions()
    # One thread: the graph is tiny, and a thread pool only adds latency and jitter.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return session, session.get_modelmeta().custom_metadata_map
    except Exception as error:  # onnxruntime raises bare RuntimeErrors of its own kinds
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: graph check failed: not a whole ONNX file: {reason}") from None


def _open_eye(path: Path, metadata: PolicyMetadata, properties: dict[str, str]) -> Eye | None:
    if metadata.eye is None:
        return None
    if EYE_KEY not in properties:
        raise ConfigError(f"{path}: eye check failed: its metadata tell of one, got no {EYE_KEY}")
    last = metadata.observation[-1]
    if (last.name, last.size) != (FEATURES, len(metadata.eye.golden_features)):
        raise ConfigError(
            f"{path}: eye check failed: the last observation slot is {last.name} of {last.size}, "
            f"expected {FEATURES} of {len(metadata.eye.golden_features)}"
        )
    session, _ = open_session(path, unpacked(path, properties[EYE_KEY]))
    eye = Eye(metadata.eye, session)
    check_eye(path, eye)
    return eye


def _read_metadata(path: Path, properties: dict[str, str]) -> PolicyMetadata:
    text = properties.get(METADATA_KEY)
    if text is None:
        raise ConfigError(f"{path}: schema check failed: an ONNX file without {METADATA_KEY} data")
    try:
        return read_metadata(text)
    except ValueError as error:
        raise ConfigError(f"{path}: schema check failed: {error}") from None


def _check_shapes(artifact: Artifact) -> None:
    metadata, session = artifact.metadata, artifact.session
    expected = {
        "observation": metadata.observation_layout.size,
        "dt": 1,
        "state": len(metadata.state_names),
        "command": metadata.command_layout.size,
        "next_state": len(metadata.state_names),
    }
    for kind, names, tensors in (
        ("inputs", INPUTS, session.get_inputs()),
        ("outputs", OUTPUTS, session.get_outputs()),
    ):
        found = tuple(t.name for t in tensors)
        if found != names:
            raise ConfigError(
                f"{artifact.path}: schema check failed: {kind} {found}, expected {names}"
            )
        for tensor in tensors:
            if tensor.shape[-1] != expected[tensor.name] or len(tensor.shape) != 2:
                raise ConfigError(
                    f"{artifact.path}: schema check failed: {tensor.name} has shape "
                    f"{tensor.shape}, expected (B, {expected[tensor.name]})"
                )


def _check_golden(artifact: Artifact) -> None:
    golden = artifact.metadata.golden
    worst = 0.0
    state = artifact.zero_state()
    try:
        for observation, dt, command, next_state in zip(
            golden.observation, golden.dt, golden.command, golden.state, strict=True
        ):
            outputs = artifact.session.run(
                OUTPUTS,
                {
                    "observation": np.array([observation], np.float32),
                    "dt": np.array([[dt]], np.float32),
                    "state": state,
                },
            )
            for got, want in zip(outputs, (command, next_state), strict=True):
                error = np.abs(got[0] - np.asarray(want))
                if not np.isfinite(error).all():
                    raise ConfigError(
                        f"{artifact.path}: finiteness check failed: the graph gave {got[0]}"
                    )
                worst = max(worst, float(error.max()))
            state = outputs[1]
    except ConfigError:
        raise
    except Exception as error:  # shapes that don't fit; onnxruntime has error types of its own
        raise ConfigError(f"{artifact.path}: golden check failed: {error}") from None
    if not golden.dt:
        raise ConfigError(f"{artifact.path}: golden check failed: no golden pairs")
    if worst > GOLDEN_TOLERANCE:
        raise ConfigError(
            f"{artifact.path}: golden check failed: largest error {worst:.2e}, expected at most "
            f"{GOLDEN_TOLERANCE:.0e}; the weights were edited or this runtime computes otherwise"
        )
