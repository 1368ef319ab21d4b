"""What a weights file says about itself in its header: whole or cut, which tensors, what kind of model. No torch."""
