"""Modules whose forward pass OpenVINO computes instead of torch, on a processor: translated once, kept on disk."""
