"""The adversarial game on tensors: losses, penalties, augmentation, schedules, averages. Knows no files, devices or time."""
