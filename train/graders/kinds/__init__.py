"""What each grader does: one module a family, all with the same signature (`train.graders.runners.RUNNERS`)."""
