"""What the doors of other programs share: their bodies and names, and what they ask of jobs and models."""
