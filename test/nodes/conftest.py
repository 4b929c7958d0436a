"""A policy small enough to build here, and nodes in a ROS domain of their own."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from liquid_control.runtime.artifact import (
    SCHEMA_VERSION,
    Golden,
    PolicyMetadata,
    slot_entries,
    write_artifact,
)
from liquid_control.structs import GRAVITY, RATES_THRUST
from liquid_control.vehicles.quadrotor.rules import observer

SLOTS = observer(("pos_error", "vel_error", "up", "heading")).layout


def _gains() -> tuple[np.ndarray, np.ndarray]:
    """Linear hover: acceleration k_p e_p + k_v e_v, tilt towards it, heading to zero."""
    gain = np.zeros((SLOTS.size, 4), np.float32)
    (px, py, pz), (vx, vy, vz), (ux, uy, _), (_, hy, _) = (
        range(SLOTS[name].start, SLOTS[name].stop) for name in SLOTS.names
    )
    gain[[pz, vz], 0] = 8.0, 5.0  # thrust
    gain[[py, vy, uy], 1] = -4.0, -3.0, -10.0  # roll rate
    gain[[px, vx, ux], 2] = 4.0, 3.0, 10.0  # pitch rate
    gain[hy, 3] = 2.0  # yaw rate
    return gain, np.array([GRAVITY, 0, 0, 0], np.float32)


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    """A linear hover policy with one leaky neuron, as an artifact; gives its path."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper, kinds = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    gain, bias = _gains()

    def tensor(name, size):
        return helper.make_tensor_value_info(name, kinds.FLOAT, ["batch", size])

    nodes = [
        helper.make_node("MatMul", ["observation", "gain"], ["wanted"]),
        helper.make_node("Add", ["wanted", "bias"], ["command"]),
        # h + dt (thrust - h): a low-pass of the thrust, so that the state is not trivial
        helper.make_node("Gather", ["command", "first"], ["thrust"], axis=1),
        helper.make_node("Sub", ["thrust", "state"], ["difference"]),
        helper.make_node("Mul", ["difference", "dt"], ["change"]),
        helper.make_node("Add", ["state", "change"], ["next_state"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear_hover",
        [tensor("observation", SLOTS.size), tensor("dt", 1), tensor("state", 1)],
        [tensor("command", 4), tensor("next_state", 1)],
        [
            numpy_helper.from_array(gain, "gain"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([0]), "first"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    zero = [0.0] * SLOTS.size
    golden = Golden(
        observation=[zero], dt=[0.01], command=[bias.tolist()], state=[[0.01 * GRAVITY]]
    )
    metadata = PolicyMetadata(
        schema_version=SCHEMA_VERSION,
        network="linear",
        observation=slot_entries(SLOTS),
        command_kind="rates_thrust",
        command=slot_entries(RATES_THRUST.layout),
        control_period=0.01,
        state_names=["thrust"],
        neuron_names=["thrust"],
        neuron_index=[0],
        wiring=None,
        weights=int(np.count_nonzero(gain)),
        vehicle="crazyflie",
        training={},
        golden=golden,
    )
    path = tmp_path_factory.mktemp("policy") / "linear.onnx"
    write_artifact(path, model.SerializeToString(), metadata)
    return path


@pytest.fixture(scope="session", autouse=True)
def ros_domain():
    """A ROS domain that only these tests use, on this machine alone."""
    pytest.importorskip("rclpy")
    from liquid_control.session.processes import free_domain

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(free_domain()))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
        yield


@pytest.fixture
def spinning():
    """``spinning(make_node, *arguments)`` gives a node that a thread spins, with ROS arguments."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    executors, nodes, threads, contexts = [], [], [], []

    def spin(make_node, *arguments: str):
        context = rclpy.Context()
        rclpy.init(args=["--ros-args", *arguments], context=context)
        contexts.append(context)
        executor = SingleThreadedExecutor(context=context)
        executors.append(executor)
        node = make_node(context)
        nodes.append(node)
        executor.add_node(node)
        threads.append(threading.Thread(target=executor.spin, daemon=True))
        threads[-1].start()
        return node

    yield spin
    for node in nodes:
        if hasattr(node, "stop"):
            node.stop()
    for executor, thread in zip(executors, threads):
        executor.shutdown()
        thread.join()
    for node in nodes:
        node.destroy_node()
    for context in contexts:
        rclpy.shutdown(context=context)
