"""The machinery of all stages that an encoder or imported features fill."""
