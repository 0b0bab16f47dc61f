"""Playing the game: hardware, turns, budget, checkpoints, the log."""
