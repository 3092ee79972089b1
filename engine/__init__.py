"""Tensors only: networks, anatomy, inference, training, heads. It never sees a patient."""
