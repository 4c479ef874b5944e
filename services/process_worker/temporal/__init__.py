"""How Temporal is reached, asked, and what it is given to keep."""
