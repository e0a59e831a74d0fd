"""Using trained models: loading and generating."""
