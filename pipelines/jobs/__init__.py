"""One module a verb: the function that does the job, and how its result is said (`pipelines.verbs`)."""
