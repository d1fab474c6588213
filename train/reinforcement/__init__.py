"""Reinforcement fine-tuning: a model learns from what graders say of its own answers."""
