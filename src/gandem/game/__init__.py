"""The adversarial game on tensors: losses, penalties, augmentation, schedules, averages. It knows no files."""
