"""What a picture file carries: its recipe, A1111's infotext and the AI labels. Pillow only; no database, no torch."""
