"""What speaks to people: click, Output, exit codes."""
