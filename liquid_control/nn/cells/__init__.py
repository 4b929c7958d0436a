"""Wirings and cells of one signature: liquid ones, baselines, wrappers; sequences of steps."""
