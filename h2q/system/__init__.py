"""What every other folder builds on: errors, messages, files, paths, device, signals. No models."""
