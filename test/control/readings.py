"""Sensor frames from samples and ages, as a test wants them."""

from liquid_control.structs import ImuSample, OdometrySample, Reading, SensorFrame


def sensor_frame(
    imu: ImuSample | None = None,
    odometry: OdometrySample | None = None,
    imu_age: float = 0.0,
    odometry_age: float = 0.0,
) -> SensorFrame:
    return SensorFrame(
        None if imu is None else Reading(imu, imu_age),
        None if odometry is None else Reading(odometry, odometry_age),
    )
