"""Expert data of a teacher on many robots, and a student that learns from it."""
