"""Building blocks: norm, rotary positions, attention, feed-forward, experts, loss."""
