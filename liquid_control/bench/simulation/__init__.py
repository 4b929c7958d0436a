"""How fast the world is, against PyBullet alone and other simulators."""
