"""What learning and fine-tuning share of models: loading, the LoRA on top, memory, checkpoints of trainers."""
