"""Verbs that bring models here and say what they need."""
