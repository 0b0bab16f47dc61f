"""What one does with a run: sample, export."""
