"""ONE training loop and its objectives."""
