"""Models that draw a picture token by token, as a language model writes: no noise is taken away, no sampler steps."""
