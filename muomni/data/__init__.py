"""Where examples come from: manifests and their readers, tokenizers, counts, line indexes, and the tiny world."""
