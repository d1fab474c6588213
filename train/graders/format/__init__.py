"""What a grader's file may hold, and the rows that it is about."""
