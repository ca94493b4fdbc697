"""A small world in which the real network learns on two CPU cores: spoken digits, and questions about them."""
