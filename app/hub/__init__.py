"""Models of the hub: what of them is on this machine, and downloads. Only `fetch`, `transfer`, `reach` and `child` ask
the network; the rest reads the disk and does not even import huggingface_hub."""
