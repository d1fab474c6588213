"""What a model can do before and after: suites, answers, paired comparison."""
