"""What knows no tensors: errors, messages, files, paths, device, signals."""
