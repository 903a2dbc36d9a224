"""What every stage that an encoder fills runs on, and imported features."""
