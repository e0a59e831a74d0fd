"""The models, one file each, and how they stand on disk."""
