"""What a person types and sees: parsers, exit codes, commands, reports."""
