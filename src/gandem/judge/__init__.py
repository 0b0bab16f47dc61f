"""The numbers of the judge: how two sets of features differ, each number with its interval; no files, no pictures."""
