//! Model bytes and readings in, predictions out. The steps of a run are built on these functions alone.
