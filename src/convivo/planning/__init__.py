"""What a network costs, before it exists: counting, receptive fields, the plan document."""
