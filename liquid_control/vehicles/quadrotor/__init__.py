"""Quadrotors: description, physics, autopilot, and the rules of flying one."""
