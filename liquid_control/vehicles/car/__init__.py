"""A road vehicle that is told speed and yaw rate."""
