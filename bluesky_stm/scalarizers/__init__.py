"""Spectrum to the scalar property that an agent predicts, or the reason why there is none."""
